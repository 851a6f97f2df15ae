from __future__ import annotations

import json
import sys
from hashlib import sha256

import pytest
from click.testing import CliRunner

from credit_risk.commands.cli import COMMANDS, cli


def test_every_command_explains_itself() -> None:
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    for name in COMMANDS:
        assert name in shown.output
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0


def test_an_unknown_command_is_refused() -> None:
    refused = CliRunner().invoke(cli, ["scor"])
    assert refused.exit_code == 2
    assert "No such command" in refused.output


def test_a_command_whose_package_is_absent_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image, which has no pyarrow."""
    for module in [m for m in sys.modules if m.startswith(("credit_risk.portfolio", "credit_risk.commands.score"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused = CliRunner().invoke(cli, ["score"])
    assert refused.exit_code == 1
    assert "score requires pyarrow, which is not installed here" in refused.output
    assert CliRunner().invoke(cli, ["--help"]).exit_code == 0


def test_a_new_key_goes_with_its_hash() -> None:
    token_line, setting = CliRunner().invoke(cli, ["new-key", "branch"]).output.splitlines()
    token = token_line.rpartition(" ")[2]
    keys = json.loads(setting.partition("=")[2].strip("'"))
    assert keys == {"branch": sha256(token.encode()).hexdigest()}
