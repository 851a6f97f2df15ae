"""Decisions on record are answered as they were, whatever is in force by now."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from credit_risk.contract.errors import DataError
from credit_risk.deciding.decider import new_decision_id
from credit_risk.deciding.on_record import OnRecord
from credit_risk.model.store import StoredModel
from credit_risk.record.lines import find_lines
from credit_risk.training.data import Dataset
from tests.deciders import CATALOGUE, ORIGIN, record_files, recording, renderer_of, terms_of
from tests.policies import ALL_RULES

TRANSLATED = CATALOGUE.model_copy(
    update={"reasons": {code: f"\u00e9 {text}" for code, text in CATALOGUE.reasons.items()}}
)


def test_every_answer_has_the_bytes_that_it_had(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    answers: dict[str, bytes] = {}
    for reference, policy, catalogue in (("A-1", ALL_RULES, CATALOGUE), (None, ALL_RULES, TRANSLATED)):
        origin = ORIGIN._replace(reference=reference)
        applications = synthetic.applications[:300]
        log = record_files(tmp_path)
        decided = recording(model, applications, log, policy=policy, catalogue=catalogue, origin=origin)
        log.close()
        answers |= {each.decision_id: each.renderer.answer(each) for each in decided}
    on_record = OnRecord(str(tmp_path), terms_of(model))
    assert on_record.answers(answers) == answers
    some = list(answers)[250:350]
    assert on_record.answers([*some, new_decision_id()]) == {each: answers[each] for each in some}
    for place in ("stdout", "off"):
        assert OnRecord(place, terms_of(model)).answers(answers) == {}


def test_a_catalogue_that_is_nowhere_is_named(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    log = record_files(tmp_path)
    [decided] = recording(model, synthetic.applications[:1], log, catalogue=TRANSLATED)
    log.close()
    shutil.rmtree(tmp_path / "archive")
    with pytest.raises(DataError, match=r"the catalogue [0-9a-f]{64} is not in the archive of .*; restore it"):
        OnRecord(str(tmp_path), terms_of(model)).answers([decided.decision_id])


def test_a_torn_line_is_not_on_record_and_old_files_are_not_read(
    model: StoredModel, synthetic: Dataset, tmp_path: Path
) -> None:
    log = record_files(tmp_path)
    decisions = recording(model, synthetic.applications[:3], log)
    log.close()
    lines = {each.decision_id: renderer_of(model).record(each) for each in decisions}
    assert find_lines(tmp_path, list(lines)) == lines
    assert find_lines(tmp_path, []) == {}
    [file] = tmp_path.glob("decisions-*")
    file.write_bytes(file.read_bytes()[:-5])
    assert list(find_lines(tmp_path, list(lines))) == list(lines)[:2]
    os.utime(file, (1.0, 1.0))
    assert find_lines(tmp_path, list(lines)) == {}
