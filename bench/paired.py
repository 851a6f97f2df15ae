"""Comparisons on a noisy machine: all services up at once, loaded in short slices in turn.

The same code swings twofold within minutes on a shared machine, so figures of one service after the other can't be
compared. Here each slice of the first service has a neighbour of every other, seconds apart. Their ratios are what
counts; medians and quartiles of them are reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.experiment import Row, Say, spread, summary
from bench.load import Load, load
from bench.peer import PORT, Peer, Running, running


@contextmanager
def all_running(peers: Mapping[str, Peer]) -> Iterator[dict[str, Running]]:
    """Start all services by name, each on a port of its own."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running(peer, PORT + number)) for number, (name, peer) in enumerate(peers.items())
        }


def compare(
    services: Mapping[str, Running],
    bodies: Path | Mapping[str, Path],
    *,
    connections: int,
    slices: int,
    seconds: float,
    say: Say,
) -> list[Row]:
    """Load the services in turn, and compare the first with each. `bodies` may differ from service to service.

    Gives a row each: its figures, the ratio of the first one's requests a second to its own, and the processor seconds
    of each of its processes in every slice.
    """
    loads: dict[str, list[Load]] = {name: [] for name in services}
    spent: dict[str, list[list[float]]] = {name: [] for name in services}
    for number in range(slices + 1):
        for name in services if number % 2 else reversed(list(services)):
            before = services[name].processor_seconds()
            file = bodies if isinstance(bodies, Path) else bodies[name]
            measured = load(services[name].path, file, connections=connections, seconds=seconds, url=services[name].url)
            after = services[name].processor_seconds()
            if number:  # the first slice warms up
                loads[name].append(measured)
                spent[name].append([round(after[pid] - before[pid], 2) for pid in before if pid in after])
    first = next(iter(services))
    rows: list[Row] = []
    for name, found in loads.items():
        ratios = [a.requests_per_second / b.requests_per_second for a, b in zip(loads[first], found, strict=True)]
        row = {"name": name, "connections": connections, "ratio": spread(ratios), "processor_seconds": spent[name]}
        rows.append(row | summary(found))
        say(f"{connections} connections: {name}: {rows[-1]['requests_per_second']['median']:,.0f}/s")
    return rows


def compare_all(
    peers: Mapping[str, Peer],
    bodies: Path | Mapping[str, Path],
    *,
    connections: Sequence[int],
    slices: int,
    seconds: float,
    say: Say,
) -> list[Row]:
    """Start the services and compare them at each number of connections."""
    rows: list[Row] = []
    with all_running(peers) as services:
        for count in connections:
            rows += compare(services, bodies, connections=count, slices=slices, seconds=seconds, say=say)
        for row in rows:
            row["memory_mb"] = services[row["name"]].memory_mb()
    return rows
