"""Replay of what a model server scored: identical without the server, and no tolerance that hides anything."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from credit_risk.contract.decision import score_of
from credit_risk.contract.record import DecisionRecord
from credit_risk.model.scorer import probability_of
from credit_risk.replay.differences import differences
from credit_risk.replay.replayer import Again
from tests.replay.logs import N, Record, records_of, rewrite, run
from tests.replay.test_replay import (
    TAMPERING,
)
from tests.replay.test_replay import (
    test_each_field_that_differs_is_named as each_field_that_differs_is_named,
)
from tests.replay.test_replay import (
    test_neither_nan_nor_an_absent_reason_is_the_same as neither_nan_nor_an_absent_reason_is_the_same,
)


def float32_of(probability: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", probability))[0])


def served(content: Record, probability: float) -> Record:
    """What would be on record if a model server had given this probability."""
    margin = math.log(probability) - math.log1p(-probability)
    return content | {
        "probability_of_default": probability,
        "margin": margin,
        "score": score_of(margin),
        "scored_by": "v2+http://localhost:8080/v2/models/credit_risk_model",
    }


@pytest.fixture
def served_log(log: Path) -> Path:
    rewrite(log, [served(content, float32_of(content["probability_of_default"])) for content in records_of(log)])
    return log


def test_what_a_model_server_scored_comes_out_again(served_log: Path) -> None:
    assert run(served_log).output == f"{N} decisions, all identical\n"
    rewrite(
        served_log, [served(content, content["probability_of_default"] + 8e-7) for content in records_of(served_log)]
    )
    assert run(served_log).output == f"{N} decisions, all identical\n"


def test_a_score_at_the_border_of_two_may_be_either(served_log: Path) -> None:
    low, border = 0.0, 0.1  # with different scores
    while border - low > 1e-7:
        middle = (low + border) / 2
        low, border = (middle, border) if score_of(middle) == score_of(low) else (low, middle)
    content = records_of(served_log)[0]
    below, above = (
        DecisionRecord.model_validate(served(content, probability_of(margin))) for margin in (border - 2e-7, border)
    )
    assert below.score != above.score
    assert list(differences(below, Again(above, changed=False, told=None))) == []
    wrong = below.model_copy(update={"score": above.score})
    assert [fault.partition(":")[0] for fault in differences(wrong, Again(above, changed=False, told=None))] == [
        "score"
    ]


@pytest.mark.parametrize("field", sorted(set(TAMPERING) - {"probability_of_default"}))
def test_each_field_that_differs_from_what_a_model_server_scored_is_named(served_log: Path, field: str) -> None:
    each_field_that_differs_is_named(served_log, field)


def test_a_probability_that_is_not_the_models_is_named(served_log: Path) -> None:
    records = records_of(served_log)
    records[0] = served(records[0], records[0]["probability_of_default"] + 2e-6)
    rewrite(served_log, records)
    assert run(served_log).output.splitlines()[-1] == f"{N} decisions, 1 difference"


@pytest.mark.parametrize("field", ["margin", "probability_of_default"])
def test_nan_is_not_what_a_model_server_scored(served_log: Path, field: str) -> None:
    neither_nan_nor_an_absent_reason_is_the_same(served_log, field, float("nan"))


def test_what_the_local_model_scored_in_its_place_is_exact(served_log: Path) -> None:
    records = [served(content, content["probability_of_default"] + 8e-7) for content in records_of(served_log)]
    rewrite(served_log, [content | {"scored_by": "local"} for content in records])
    assert run(served_log).exit_code == 1
