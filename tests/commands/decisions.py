"""A log of decisions, and what `python -m credit_risk decision` says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from credit_risk.commands.cli import cli
from credit_risk.contract.catalogue import Catalogue
from credit_risk.deciding.decided import Decided, Origin
from tests.deciders import CATALOGUE

GERMAN = Catalogue(language="de", reasons={code: f"Grund {code}" for code in CATALOGUE.reasons})
HOSTILE = Origin('<b>&[red]\x1b[2J"', "branch")


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["decision", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def refused(*arguments: object) -> str:
    """What is said of a command that fails; nothing is printed."""
    result = run(*arguments, code=1)
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def told(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


class Log:
    """Decisions that a real decider put on record, and then the service got other terms."""

    def __init__(self, folder: Path, decided: list[Decided]) -> None:
        self.folder = folder
        [self.file] = folder.glob("decisions-*.ndjson")
        self.decided = decided

    def first(self, status: str) -> tuple[int, Decided]:
        """The number of a line and its decision."""
        return next((number, each) for number, each in enumerate(self.decided, 1) if each.status == status)

    def id_of(self, status: str) -> str:
        return self.first(status)[1].decision_id
