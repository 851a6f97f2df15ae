"""Logs of decisions, and what replay says of them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from credit_risk.commands.cli import cli
from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.policy import Policy
from credit_risk.model.store import StoredModel
from tests.deciders import record_files, recording

N = 600
INCOME = 87654.25
PLANTED = CreditApplication.model_validate(EXAMPLE.model_dump() | {"income": INCOME, "assets": None, "debt": 30_000.0})
SECRETS = (str(INCOME), str(int(INCOME)), struct.pack("<f", INCOME).hex())
Record = dict[str, Any]


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(cli, ["replay", *(str(argument) for argument in arguments)], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not any(secret in result.output for secret in SECRETS)
    return result


def record(folder: Path, model: StoredModel, policy: Policy, applications: list[CreditApplication]) -> Path:
    """Record the decisions of a real decider, and give the only file of its log."""
    log = record_files(folder)
    for start in range(0, len(applications), 100):
        recording(model, applications[start : start + 100], log, policy=policy)
    [file] = folder.glob("decisions-*.ndjson")
    return file


def records_of(file: Path) -> list[Record]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def rewrite(file: Path, records: list[Record]) -> None:
    lines = [json.dumps(content, separators=(",", ":")) + "\n" for content in records]
    file.write_text("".join(lines))


def cells(result: Result, heading: str) -> list[str]:
    """The cells of the first row of a table with this heading."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in result.output.splitlines()]
    return next(row[1:] for row in rows if row[0] == heading)
