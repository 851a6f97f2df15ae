"""The figures in the README are those of bench/results, and what is claimed of them holds there."""

from __future__ import annotations

import json
import re
from statistics import median
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
    both, reasons, neither = (row["requests_per_second"]["median"] for row in rows("accountable")[:3])
    sentence = f"{both:,.0f} requests/s with both, {reasons:,.0f} without the log, {neither:,.0f} without either"
    assert sentence in README
    for row in rows("large-batches")[:2]:
        rate = row["applications_per_second"]
        assert f"{rate['median']:,.0f} ({rate['least']:,.0f} to {rate['most']:,.0f})" in README
    ratio = rows("large-batches")[-1]["p99 beside large batches, of alone"]["median"]
    assert f"{ratio:.2f} times what it is without" in README
    single = {row["peer"]: row["p50_ms"]["median"] for row in rows("throughput") if row["connections"] == 1}
    assert f"median of {single['this service']:.2f} ms (FastAPI {single['FastAPI']:.2f} ms)" in README


def test_what_is_said_of_overload_is_what_happened() -> None:
    measured = rows("open-loop")
    most = {number: max(row["goodput"] for row in measured if row["round"] == number) for number in (1, 2, 3)}
    three = [row for row in measured if row["of saturation"] == 3.0]
    assert len(three) == 3
    share = 100 * median(row["goodput"] / most[row["round"]] for row in three)
    assert f"{median(row['goodput'] for row in three):,.0f} decisions/s, {share:.0f} % of" in README
    assert f"a median of {median(row['p50_ms'] for row in three) / 1000:.1f} s" in README
    unsent, due, refused, wrong = (sum(row[n] for row in three) for n in ("unsent", "due", "refused", "wrong"))
    assert f"{unsent:,} of {due:,} requests were not sent" in README
    assert f"{refused:,} were refused and {wrong} answered wrongly" in README
    assert f"{median(row['recovery_seconds'] for row in three):.1f} s after the load" in README


def test_what_is_said_of_containers_is_what_happened() -> None:
    *sizes, overload = rows("containers")
    guide = " ".join((PROJECT / "docs" / "deploy.md").read_text().split())
    for row in sizes:
        medians = [row[figure]["median"] for figure in ("seconds_to_ready", "requests_per_second", "p50_ms", "p99_ms")]
        ready, rate, p50, p99 = medians
        assert f"| {ready:.1f} | {rate:,.0f} | {p50:.1f} | {p99:,.1f} | {row['memory_mb']:.0f} |" in guide
    assert sum(row["failed"] + row["non_2xx"] for row in sizes[:3]) == 0
    assert f"of the tutorial's, {sizes[3]['failed'] + sizes[3]['non_2xx']} did" in guide
    assert f"{overload['goodput']:,.0f} decisions/s, {overload['refused']} refused" in guide
    assert f"{overload['unsent']:,} of {overload['due']:,} not sent" in guide
    assert f"{overload['checked']} answers were compared with those before it, {overload['wrong']} differed" in guide
    assert f"memory {overload['memory_mb']:.0f} MB" in guide
    assert overload["runs"]
    assert overload["failed"] == overload["wrong"] == 0
    assert overload["recovery_seconds"] < 5
