"""The figures in the README are those of bench/results, and what is claimed of them holds there."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text()
RESULTS = PROJECT / "bench" / "results"
Row = dict[str, Any]


def rows(experiment: str) -> list[Row]:
    found: list[Row] = json.loads((RESULTS / f"{experiment}.json").read_text())["rows"]
    return found


def test_the_table_is_that_of_the_results() -> None:
    figures = ("requests_per_second", "p50_ms", "p99_ms", "memory_mb")
    measured = [[r[figure]["median"] for figure in figures] for r in rows("throughput") if r["connections"] == 64]
    ours = measured[0][0]
    expected = [
        f"| {rate:,.0f} | {p50:.2f} | {p99:.2f} | {ours / rate:.2f} | {memory:.0f} |"
        for rate, p50, p99, memory in measured
    ]
    section = README[README.index("## Measure") : README.index("## Develop")]
    table = re.findall(r"^\| [^|]+(\| [\d,]+ \|.*)$", section, re.MULTILINE)
    assert table == expected
    assert len(expected) == 6


def test_nothing_failed_and_the_machine_is_named() -> None:
    assert all(row["non_2xx"] == row["failed"] == 0 for row in rows("throughput") + rows("batching"))
    assert all(row["wrong"] == 0 for row in rows("open-loop"))
    for experiment in ("throughput", "batching", "large-batches", "open-loop"):
        assert "cores of" in json.loads((RESULTS / f"{experiment}.json").read_text())["machine"]["processor"]


def test_the_sentences_are_those_of_the_results() -> None:
    by_size = {
        r["max_batch_size"]: r["requests_per_second"]["median"] for r in rows("batching") if r["connections"] == 64
    }
    assert f"{by_size[100] / by_size[1]:.1f}x at 64 connections: {by_size[1]:,.0f} requests/s" in README
    assert f"{by_size[100]:,.0f} with batches of up to 100" in README
    ours, fastapi = (row["applications_per_second"]["median"] for row in rows("large-batches")[:2])
    assert f"{ours:,.0f} applications/s in bodies of 1,000 (FastAPI {fastapi:,.0f})" in README
    ratio = rows("large-batches")[-1]["p99 beside large batches, of alone"]["median"]
    assert f"{ratio:.2f} times what it is without" in README
    single = {row["peer"]: row["p50_ms"]["median"] for row in rows("throughput") if row["connections"] == 1}
    assert f"median of {single['this service']:.2f} ms (FastAPI {single['FastAPI']:.2f} ms)" in README
    overload = sorted(row["goodput of saturation"] for row in rows("open-loop") if row["of saturation"] == 3.0)
    assert f"{overload[len(overload) // 2]:.2f} times as many" in README
