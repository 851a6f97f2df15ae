from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.model.stability import stability_index, stability_verdict

histograms = st.dictionaries(st.integers(300, 700), st.integers(1, 50), min_size=1).map(Counter)


@given(recorded=histograms, new=histograms)
def test_the_stability_index_is_never_negative_and_0_for_the_same(recorded: Counter[int], new: Counter[int]) -> None:
    assert stability_index(recorded, new) >= 0
    assert stability_index(recorded, recorded) == 0


def test_the_stability_index_by_hand() -> None:
    recorded = Counter(dict.fromkeys(range(10), 10))  # one score in each bin
    new = Counter({0: 30, **dict.fromkeys(range(1, 9), 8), 9: 6})
    # (.3 - .1) ln 3 + 8 (.08 - .1) ln .8 + (.06 - .1) ln .6
    assert stability_index(recorded, new) == pytest.approx(0.2758584)


@pytest.mark.parametrize(
    ("index", "n", "verdict"),
    [(0.09, 500, "no shift"), (0.1, 500, "moderate"), (0.25, 500, "moderate"), (0.26, 500, "strong"), (9, 499, "few")],
)
def test_the_verdict_follows_the_usual_bounds(index: float, n: int, verdict: str) -> None:
    assert verdict in stability_verdict(index, n)
