from __future__ import annotations

import asyncio

from credit_risk.deciding.scoring import FakeScoring, InProcessScoring, Score
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset


def test_only_rows_above_the_review_cutoff_are_explained(model: StoredModel, synthetic: Dataset) -> None:
    rows = [model.encoder.encode(application) for application in synthetic.applications[:300]]
    scoring = InProcessScoring(model)
    for cutoff in (0.2, 0.3, 0.9):
        scores = asyncio.run(scoring.score(rows, cutoff))
        assert [bool(score.reasons) for score in scores] == [score.probability > cutoff for score in scores]


def test_a_score_does_not_depend_on_the_batch(model: StoredModel, synthetic: Dataset) -> None:
    rows = [model.encoder.encode(application) for application in synthetic.applications[:100]]
    scoring = InProcessScoring(model)
    together = asyncio.run(scoring.score(rows, 0.3))
    assert together == [asyncio.run(scoring.score([row], 0.3))[0] for row in rows]


def test_the_fake_answers_when_it_is_told_to() -> None:
    async def ask() -> list[object]:
        fake = FakeScoring(lambda row: Score(float(row), 0.5, ()))
        asked = [asyncio.ensure_future(fake.score([b"1", b"2"], 0.3)), asyncio.ensure_future(fake.score([b"3"], 0.3))]
        await asyncio.sleep(0)
        for _, answered in reversed(fake.calls):
            answered.set_result(None)
        return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == [[Score(1.0, 0.5, ()), Score(2.0, 0.5, ())], [Score(3.0, 0.5, ())]]
