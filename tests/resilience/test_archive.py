"""The archive of a real server: what decided stays on record when it changes."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from credit_risk.model.store import StoredModel
from tests.conftest import PROJECT
from tests.corpus import SAMPLE
from tests.e2e.callers import posted_anew
from tests.e2e.conftest import serving
from tests.e2e.mishaps import change_cutoff, hang_up
from tests.models import copy_model, folder_of
from tests.resilience.test_decision_log import replayed


class Rules:
    """The files of a policy and a catalogue, which an operator changes."""

    def __init__(self, folder: Path) -> None:
        self.policy, self.catalogue = folder / "policy.yaml", folder / "reasons.yaml"
        shutil.copy(PROJECT / "policy.yaml", self.policy)
        shutil.copy(PROJECT / "reasons.yaml", self.catalogue)
        self.settings: dict[str, Any] = {
            "CREDIT_RISK_POLICY": str(self.policy),
            "CREDIT_RISK_REASONS": str(self.catalogue),
        }

    def translate(self) -> None:
        content = yaml.safe_load(self.catalogue.read_text())
        self.catalogue.write_text(yaml.safe_dump(content | {"language": "pt-BR"}))


@pytest.mark.parametrize("place", ["a folder", "stdout"])
def test_replay_crosses_changes_of_policy_catalogue_and_model(tmp_path: Path, model: StoredModel, place: str) -> None:
    copy_model(model, "second_model")
    folder, captured = tmp_path / "decisions", tmp_path / "captured.ndjson"
    rules, decided = Rules(tmp_path), 0
    for tag, first, second in ((model.tag, 0.3, 0.25), ("second_model:copy", 0.25, 0.1)):
        settings: dict[str, Any] = rules.settings | {"CREDIT_RISK_MODEL": tag}
        settings["CREDIT_RISK_DECISION_LOG"] = "stdout" if place == "stdout" else str(folder)
        cut = partial(change_cutoff, rules.policy)
        with serving(**settings) as server:
            for change in (partial(cut, first), partial(cut, second), rules.translate):
                change()
                hang_up(server)
                assert {status for status, _ in posted_anew(server.url, 20)} == {200}
                decided += 20
        with captured.open("ab") as all_of_them:
            all_of_them.write(server.stdout.read_bytes())
    if place == "stdout":
        assert replayed(captured) == f"{decided} decisions, all identical\n"
        return
    names = {kind: len(list((folder / "archive" / kind).iterdir())) for kind in ("policies", "catalogues", "models")}
    assert names == {"policies": 3, "catalogues": 2, "models": 2}
    shutil.rmtree(folder_of(model).parents[1] / "second_model")
    assert replayed(folder) == f"{decided} decisions, all identical\n"


def test_a_policy_that_can_not_be_archived_does_not_decide(tmp_path: Path) -> None:
    folder, rules = tmp_path / "decisions", Rules(tmp_path)
    policies = folder / "archive" / "policies"
    # A worker that had not decided yet would not find its archive, and decide nothing.
    settings = rules.settings | {"CREDIT_RISK_DECISION_LOG": str(folder), "CREDIT_RISK_WORKERS": "1"}
    with serving(**settings) as server:
        before = httpx2.post(f"{server.url}/classify", json=SAMPLE).json()["policy"]
        shutil.rmtree(policies)
        policies.write_text("a file where the folder should be")
        change_cutoff(rules.policy, 0.1)
        hang_up(server)
        [line] = [line for line in server.log.read_text().splitlines() if "eloaded" in line]
        assert "Nothing was reloaded, and what was in force stays: what decides can't be archived in" in line
        assert {decision["policy"] for _, decision in posted_anew(server.url, 10)} == {before}
        policies.unlink()
        hang_up(server)
        after = httpx2.post(f"{server.url}/classify", json=SAMPLE).json()["policy"]
        assert after != before
    assert [path.stem[:12] for path in policies.iterdir()] == [after]


def test_without_an_archive_the_service_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file where the folder should be")
    with pytest.raises(AssertionError) as stopped, serving(CREDIT_RISK_DECISION_LOG=str(tmp_path)):
        pass
    refusal = str(stopped.value)
    assert f"what decides can't be archived in {tmp_path}/archive: Not a directory; put that right" in refusal
    assert "Traceback" not in refusal
