from __future__ import annotations

import math

import pytest

from credit_risk.contract.decision import score_of


@pytest.mark.parametrize(
    ("probability", "points"),
    [(1 / 51, 600), (1 / 101, 620), (1 / 26, 580), (0.3, 512), (0.5, 487)],
)
def test_points_double_the_odds_every_twenty(probability: float, points: int) -> None:
    assert score_of(math.log(probability / (1 - probability))) == pytest.approx(points, abs=0.5)


def test_a_higher_probability_never_scores_higher() -> None:
    scores = [score_of(margin / 10) for margin in range(-80, 81)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 100
