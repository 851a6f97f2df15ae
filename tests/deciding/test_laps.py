from __future__ import annotations

import time
from time import perf_counter

import pytest

from credit_risk.deciding.laps import Laps

Found = list[tuple[str, float, str, int]]


def noting(found: Found, begun: float, requests: int = 1) -> Laps:
    return Laps(lambda *spent: found.append(spent), "single", begun, requests)


def test_a_stage_ends_where_the_next_begins_and_is_told_for_all_who_wait() -> None:
    found: Found = []
    begun = perf_counter() - 1
    laps = noting(found, begun, requests=7)
    laps.end("predict")
    time.sleep(0.01)
    laps.end("record")
    assert [(stage, kind, requests) for stage, _, kind, requests in found] == [
        ("predict", "single", 7),
        ("record", "single", 7),
    ]
    assert sum(seconds for _, seconds, *_ in found) == pytest.approx(laps.last - begun)
    assert found[0][1] >= 1
    assert found[1][1] >= 0.01


def test_a_request_goes_on_where_its_batch_is() -> None:
    """It queues until the batch begins, and waits for each of its stages, which the batch counts."""
    found: Found = []
    now = perf_counter()
    laps, batch = noting(found, now - 10), Laps(lambda *_: None, "single", now - 4)
    laps.ends.append(("validate", now - 9))
    batch.ends += [("predict", now - 3), ("record", now - 1)]
    batch.last = now - 1
    laps.join(batch)
    laps.end("write")
    written = laps.last - batch.last
    assert written >= 1
    assert laps.seconds() == pytest.approx({"validate": 1, "queue": 5, "predict": 1, "record": 2, "write": written})
    [(stage, seconds, *_)] = found
    assert stage == "write"
    assert seconds == pytest.approx(written)


def test_a_stage_that_comes_again_is_added_up() -> None:
    laps = Laps(lambda *_: None, "many", 0.0)
    laps.ends += [("validate", 1.0), ("queue", 1.5), ("validate", 3.5)]
    assert laps.seconds() == {"validate": 3.0, "queue": 0.5}
    assert list(laps.stages()) == [("validate", 0.0, 1.0), ("queue", 1.0, 1.5), ("validate", 1.5, 3.5)]
    assert laps.server_timing() == b"validate;dur=3000.000, queue;dur=500.000"
