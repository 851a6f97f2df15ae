"""Histograms that many values are put into at once, for which prometheus_client has no call.

No other module leans on the inside of its histograms.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable
from importlib.metadata import version
from itertools import repeat

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


def observe(histogram: Histogram, values: Iterable[float], times: Iterable[int] = repeat(1)) -> None:
    """Do what `histogram.observe` does, for many values, of which each comes so many times."""
    buckets, total = Tally[int](), 0.0
    for value, count in zip(values, times, strict=False):
        buckets[bisect_left(histogram._upper_bounds, value)] += count
        total += value * count
    for bucket, count in buckets.items():
        histogram._buckets[bucket].inc(count)
    histogram._sum.inc(total)
