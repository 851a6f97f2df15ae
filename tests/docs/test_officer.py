"""The walk of docs/officer.md prints what it shows. `REWRITE=1` writes down what it prints."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT, user_environment
from tests.docs.transcript import alike, outputs_of, rewritten, run
from tests.e2e.conftest import serving

DOCUMENT = PROJECT / "docs" / "officer.md"
SETTINGS = "export CREDIT_RISK_DECISION_LOG=decisions CREDIT_RISK_DECISION_LOG_ENCRYPT=true\n"


@pytest.mark.usefixtures("_trained")
def test_the_walk_of_a_risk_officer(tmp_path: Path) -> None:
    document, folder = DOCUMENT.read_text(), tmp_path / "decisions"
    assert SETTINGS in document
    settings: dict[str, Any] = {"CREDIT_RISK_DECISION_LOG": str(folder), "CREDIT_RISK_DECISION_LOG_ENCRYPT": "true"}
    printed: list[str] = []
    with serving(**settings, CREDIT_RISK_DECISION_LOG_HEAD_SECONDS="1") as server:
        address = server.url.removeprefix("http://")
        for output in run(
            document, lambda c: c.replace("localhost:3000", address), user_environment() | settings, PROJECT
        ):
            if not printed:
                time.sleep(2)  # until a head signs the decision
            printed.append(output.replace(f"{tmp_path}/", ""))
    if "REWRITE" in os.environ:
        DOCUMENT.write_text(rewritten(document, printed))
    assert alike("\n".join(printed)) == alike("\n".join(outputs_of(document)))
