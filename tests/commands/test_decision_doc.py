"""What docs/tools.md shows of a decision and of its notice is what is printed."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

from credit_risk.contract.application import CreditApplication
from credit_risk.model.store import StoredModel
from tests.commands.decisions import run
from tests.conftest import PROJECT
from tests.deciders import record_files, recording
from tests.replay.logs import records_of, rewrite

DOC = (PROJECT / "docs" / "tools.md").read_text()
SHOWN = re.findall(r"```text\n(.*?)```", DOC, re.DOTALL)
IDS = re.findall(r"decision ([0-9a-f-]{36}) --", DOC)
# What a reader's own would not be: when, where, and the model, which has the date of its training in it.
UNREPEATABLE = r"(?m)^(  (time  |place  |seal  |service|request id|model  |  digest).*|Date:.*)$"


def sent() -> list[CreditApplication]:
    """The first two applications of the README: one is to be reviewed, one is declined."""
    bodies = re.findall(r"/classify -d '(.*?)'", (PROJECT / "README.md").read_text(), re.DOTALL)[:2]
    return [CreditApplication.model_validate(json.loads(body)) for body in bodies]


def test_what_is_shown_is_what_is_printed(model: StoredModel, tmp_path: Path) -> None:
    log = record_files(tmp_path / "decisions")
    recording(model, sent(), log)
    [file] = (tmp_path / "decisions").glob("*.ndjson")
    rewrite(file, [record | {"decision_id": shown} for record, shown in zip(records_of(file), IDS, strict=True)])
    sheet = run(IDS[0], file, "--counteroffer").stdout
    notice = run(IDS[1], file, "--notice", "--creditor", "First Bank, 1 Main Street").stdout
    assert f"Date:              {date.today()}\n" in notice  # noqa: DTZ011
    for printed, shown in zip((sheet, notice), SHOWN, strict=True):
        assert re.sub(UNREPEATABLE, "", printed).rstrip() == re.sub(UNREPEATABLE, "", shown).rstrip()
