"""How much of the seconds of requests the stages on /metrics explain."""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path

from bench.experiment import Row, Say, overrides
from bench.load import bodies, load
from bench.peer import OURS, Running, running
from bench.throughput import with_environment

CONNECTIONS = (1, 8, 64, 256)
BATCH = 100  # applications in a body of /classify_batch
HURRIED = overrides(batching={"max_latency_ms": 5})  # so that 256 connections are more than can be answered in time
ROUTES = (("/classify", "single", r'route="/classify"'), ("/classify_batch", "many", r'route="/classify_batch"'))


def stages(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:  # noqa: ARG001 - as others
    """Compare the seconds of requests with those of their stages, by route and connections, and under overload."""
    files = {"/classify": bodies(folder), "/classify_batch": bodies(folder, batch=BATCH)}
    rows: list[Row] = []
    for name, environment, connections in (("", {}, CONNECTIONS), ("overload", HURRIED, (256,))):
        with running(with_environment(OURS, OURS.name, environment)) as service:
            for path, kind, route in ROUTES:
                for count in connections:
                    before = _seconds(service, kind, route)
                    found = load(path, files[path], connections=count, seconds=seconds, url=service.url)
                    requests, explained = (b - a for a, b in zip(before, _seconds(service, kind, route), strict=True))
                    share = found.non_2xx / found.requests
                    row = {"route": path, "connections": count, "name": name, "refused": share}
                    rows.append(row | {"explained": explained / requests})
                    say(f"{path} at {count} connections {name}: {rows[-1]['explained']:.3f}, refused {share:.0%}")
    return rows


def _seconds(service: Running, kind: str, route: str) -> tuple[float, float]:
    """Read the seconds of requests, and those of their stages."""
    time.sleep(0.3)  # the workers hand over what they have added up many times a second
    metrics = urllib.request.urlopen(f"{service.url}/metrics", timeout=10).read().decode()
    of_requests = re.findall(rf"^credit_risk_request_seconds_sum{{{route}}} (\S+)", metrics, re.M)
    of_stages = re.findall(rf'^credit_risk_stage_seconds_total{{.*requests="{kind}".*}} (\S+)', metrics, re.M)
    return sum(map(float, of_requests)), sum(map(float, of_stages))
