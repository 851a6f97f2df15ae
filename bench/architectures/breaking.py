"""When a step of the ramp is broken."""

from __future__ import annotations

LEAST_SHARE = 0.9  # of the requests that are due


def broken_by(*, due: float, answered: float, failures: int, p95_ms: float, bound_ms: float) -> str:
    """Say what breaks a step, or nothing. `due` and `answered` are requests, `failures` those of them that went wrong.

    >>> broken_by(due=100, answered=100, failures=0, p95_ms=300, bound_ms=250)
    'p95 above 250 ms'
    """
    if failures:
        return "errors"
    if answered < LEAST_SHARE * due:
        return f"less than {LEAST_SHARE:.0%} answered"
    if p95_ms > bound_ms:
        return f"p95 above {bound_ms:g} ms"
    return ""
