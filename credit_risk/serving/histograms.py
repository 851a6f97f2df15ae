"""Histograms that many values are put into at once, for which prometheus_client has no call.

No other module leans on the inside of its histograms.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from prometheus_client import Histogram

from credit_risk.contract.errors import DependencyError


def check_histogram(histogram: Histogram) -> None:
    """Raise DependencyError if `observe` can't work with this version of prometheus_client."""
    lacking = [name for name in ("_upper_bounds", "_buckets", "_sum") if not hasattr(histogram, name)]
    if lacking:
        raise DependencyError(
            f"prometheus-client {version('prometheus-client')} keeps its histograms in another way than 0.26, "
            f"without {', '.join(lacking)}; install the version in requirements.txt"
        )


def observe(histogram: Histogram, values: Sequence[float]) -> None:
    """Do what `histogram.observe` does, for many values."""
    for bucket, count in Tally(bisect_left(histogram._upper_bounds, value) for value in values).items():
        histogram._buckets[bucket].inc(count)
    histogram._sum.inc(sum(values))


def observe_times(histogram: Histogram, values: Iterable[tuple[float, int]]) -> None:
    """Do what `histogram.observe` does, for values of which each comes so many times."""
    for value, times in values:
        histogram._buckets[bisect_left(histogram._upper_bounds, value)].inc(times)
        histogram._sum.inc(value * times)
