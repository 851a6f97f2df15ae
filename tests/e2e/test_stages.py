"""Where the time of requests goes, as an operator sees it: on /metrics, in the log, in answers and in traces."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from credit_risk.serving.metrics import FLUSH_SECONDS
from tests.corpus import SAMPLE
from tests.e2e.conftest import Server, serving
from tests.e2e.test_batching import all_of
from tests.service.test_fast_path import SAMPLED

ONE, MANY = json.dumps(SAMPLE).encode(), json.dumps([SAMPLE] * 20).encode()
ROW = [800, 60000, 3000, 35, 0.8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 3, 36]
STAGES = ["read", "validate", "queue", "predict", "decide", "record", "write"]
REQUESTS = 512  # in a load
LOGGING: dict[str, Any] = {"CREDIT_RISK_SLOW_MS": "1", "CREDIT_RISK_LOG_FORMAT": "json"}
SHORT_OF_TIME = json.dumps({"services": {"credit_risk_classifier": {"batching": {"max_latency_ms": 8}}}})


class Spent(NamedTuple):
    """Seconds of the requests for single decisions, or for many, and of their stages."""

    requests: float
    stages: float


def spent(server: Server) -> dict[str, Spent]:
    time.sleep(FLUSH_SECONDS * 8)
    return {
        kind: Spent(
            all_of(server, "credit_risk_request_seconds_sum", route),
            all_of(server, "credit_risk_stage_seconds_total", f'requests="{kind}"'),
        )
        for kind, route in (("single", 'route="/classify"'), ("many", 'route="/classify_'))
    }


def share_explained(server: Server, kind: str, load: Any) -> float:
    before = spent(server)[kind]
    load()
    after = spent(server)[kind]
    return (after.stages - before.stages) / (after.requests - before.requests)


async def call(server: Server, request: bytes, times: int) -> list[int]:
    """Post one request after the other on a connection; give their statuses."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    statuses = []
    for _ in range(times):
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head)
        assert length
        await reader.readexactly(int(length[1]))
        statuses.append(int(head.split()[1]))
    writer.close()
    return statuses


def load(server: Server, connections: int, path: str, body: bytes, header: str = "") -> list[int]:
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def together() -> list[int]:
        times = max(1, REQUESTS // connections)
        answers = await asyncio.gather(*[call(server, request, times) for _ in range(connections)])
        return [status for each in answers for status in each]

    return asyncio.run(together())


@pytest.mark.parametrize("connections", [1, 64, 256])
@pytest.mark.parametrize(
    ("path", "body", "header"),
    [("/classify", ONE, ""), ("/classify", ONE, "Origin: https://x.example\r\n"), ("/classify_batch", MANY, "")],
    ids=["direct", "fast path", "many"],
)
def test_the_stages_of_requests_add_up_to_their_seconds(
    server: Server, connections: int, path: str, body: bytes, header: str
) -> None:
    kind = "single" if body is ONE else "many"
    explained = share_explained(server, kind, lambda: load(server, connections, path, body, header))
    assert 0.95 <= explained <= 1.02


def test_they_do_so_on_the_long_way_and_for_what_is_refused() -> None:
    with serving("--production", CREDIT_RISK_FAST_PATH="false") as server:
        assert 0.95 <= share_explained(server, "single", lambda: load(server, 16, "/classify", ONE)) <= 1.02
        for path, body in (("/classify", b"{}"), ("/classify_batch", b"[]"), ("/classify_table", b"[")):
            kind = "single" if path == "/classify" else "many"
            assert 0.95 <= share_explained(server, kind, lambda p=path, b=body: load(server, 4, p, b)) <= 1.02


def test_one_row_of_an_array_counts_among_single_requests(server: Server) -> None:
    before = spent(server)
    row = httpx2.post(f"{server.url}/classify_array", json=ROW)
    after = spent(server)
    assert row.status_code == 200
    seconds = after["many"].requests - before["many"].requests
    assert 0.95 <= (after["single"].stages - before["single"].stages) / seconds <= 1.02


def test_they_do_so_under_overload() -> None:
    """Requests may wait for eight milliseconds, and 256 callers make them wait for longer."""
    with serving("--production", BENTOML_CONFIG_OVERRIDES=SHORT_OF_TIME) as server:
        statuses: list[int] = []
        for path, body, kind in (("/classify", ONE, "single"), ("/classify_batch", MANY, "many")):

            def overload(path: str = path, body: bytes = body) -> None:
                statuses.extend(load(server, 256, path, body))

            assert 0.95 <= share_explained(server, kind, overload) <= 1.02
        assert set(statuses) == {200, 503}


def test_the_waits_for_what_can_be_slow_are_on_a_histogram(server: Server) -> None:
    def waits(kind: str, stage: str) -> float:
        return all_of(server, "credit_risk_wait_seconds_count", f'requests="{kind}",stage="{stage}"')

    found = [(kind, stage) for kind in ("single", "many") for stage in ("queue", "predict", "record")]
    before = [waits(*each) for each in found]
    load(server, 16, "/classify", ONE)
    load(server, 4, "/classify_batch", MANY)
    deadline = time.monotonic() + 20  # until the workers have handed over what they have added up
    while (counted := [waits(*each) - b for each, b in zip(found, before, strict=True)]) != [REQUESTS] * len(found):
        assert time.monotonic() < deadline, counted
        time.sleep(FLUSH_SECONDS)
    seconds = all_of(server, "credit_risk_wait_seconds_sum", 'requests="single",stage="predict"')
    assert seconds == pytest.approx(
        all_of(server, "credit_risk_stage_seconds_total", 'requests="single",stage="predict"')
    )


# In answers and in the log


@pytest.fixture(scope="module")
def telling(trained: str) -> Iterator[Server]:  # noqa: ARG001 - the store must be filled
    """A server that tells callers and its log how long everything took, because a millisecond is slow to it."""
    with serving("--production", **LOGGING, CREDIT_RISK_SERVER_TIMING="true") as server:
        yield server


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/classify", ONE, {}),
        ("/classify", ONE, {"Origin": "https://x.example"}),
        ("/classify", ONE, {"traceparent": SAMPLED}),
        ("/classify_batch", MANY, {}),
        ("/classify_array", json.dumps([ROW]).encode(), {}),
    ],
    ids=["direct", "fast path", "long way", "many", "array"],
)
def test_an_answer_tells_how_long_its_stages_took(
    telling: Server, path: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = httpx2.post(f"{telling.url}{path}", content=body, headers=headers)
    told = dict(re.findall(r"(\w+);dur=(\d+\.\d+)", answer.headers["server-timing"]))
    assert list(told) == STAGES[:-1]
    assert all(float(milliseconds) >= 0 for milliseconds in told.values())
    assert 0 < sum(map(float, told.values())) / 1000 <= answer.elapsed.total_seconds() + 0.05


def test_a_refusal_tells_it_too(telling: Server) -> None:
    for path in ("/classify", "/classify_batch"):
        answer = httpx2.post(f"{telling.url}{path}", content=b"{}")
        assert answer.status_code == 400
        assert "validate;dur=" in answer.headers["server-timing"]


def test_nobody_is_told_without_being_asked(server: Server) -> None:
    assert "server-timing" not in httpx2.post(f"{server.url}/classify", content=ONE).headers
    assert "Slow request" not in server.log.read_text()


def test_a_slow_request_is_in_the_log_with_its_stages_and_nothing_of_the_applicant(telling: Server) -> None:
    many = json.dumps([SAMPLE | {"reference": "Private-17"}] * 2000)
    time.sleep(1.1)  # a worker logs ten in a second at most
    answer = httpx2.post(f"{telling.url}/classify_batch", content=many, headers={"X-Request-Id": "slow-one"})
    assert answer.status_code == 200
    line = slow_line(telling, "slow-one")
    assert (line["path"], line["status"], line["level"]) == ("/classify_batch", 200, "WARNING")
    assert next(iter(line["stages_ms"])) == "read"
    assert set(line["stages_ms"]) == set(STAGES)
    assert sum(line["stages_ms"].values()) == pytest.approx(line["ms"], rel=0.05)
    assert "slow-one" in line["message"]
    assert "Private-17" not in telling.log.read_text()
    assert str(SAMPLE["price"]) not in json.dumps(line)


def slow_line(server: Server, request_id: str) -> dict[str, Any]:
    """The line about a slow request, once it is there."""
    deadline = time.monotonic() + 20
    while True:
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
        found = [line for line in lines if line.get("request_id") == request_id]
        if found:
            [line] = found
            return dict(line)
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)


# In traces


class Span(NamedTuple):
    """What the test looks at in a span."""

    name: str
    trace: str
    id: str
    parent: str
    nanoseconds: int
    attributes: dict[str, str]


@contextmanager
def collecting() -> Iterator[tuple[str, list[Span]]]:
    """A receiver of OTLP over HTTP: its address, and the spans that have come."""
    spans: list[Span] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        identity = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                        attributes = {each.key: each.value.string_value for each in span.attributes}
                        took = span.end_time_unix_nano - span.start_time_unix_nano
                        spans.append(Span(span.name, *identity, took, attributes))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{receiver.server_port}/v1/traces", spans
        receiver.shutdown()


def test_the_stages_of_a_traced_request_arrive_at_a_collector_and_its_id_is_in_the_log() -> None:
    with collecting() as (address, spans):
        tracing = {"exporter_type": "otlp", "sample_rate": 0.0, "otlp": {"protocol": "http", "endpoint": address}}
        with tracing_server(tracing) as server:
            for path, body in (("/classify", ONE), ("/classify_batch", MANY)):
                headers = {"traceparent": SAMPLED, "X-Request-Id": f"traced{path}"}
                assert httpx2.post(f"{server.url}{path}", content=body, headers=headers).status_code == 200
            for headers in ({}, {"traceparent": SAMPLED[:-1] + "0"}):
                httpx2.post(f"{server.url}/classify", content=ONE, headers=headers)
            logged = {each: slow_line(server, each) for each in ("traced/classify", "traced/classify_batch")}
        # A server that ends sends what it has.
        own = {span.attributes["request_id"]: span for span in spans if "request_id" in span.attributes}
        assert set(own) == {"traced/classify", "traced/classify_batch"}
        for request_id, span in own.items():
            below = [child for child in spans if child.parent == span.id and child.name in STAGES]
            assert list(dict.fromkeys(child.name for child in below)) == STAGES
            assert {child.trace for child in below} == {span.trace} == {SAMPLED.split("-")[1]}
            assert logged[request_id]["trace_id"] == span.trace
            milliseconds = sum(child.nanoseconds for child in below) / 1e6
            assert milliseconds == pytest.approx(logged[request_id]["ms"], rel=0.05)
        assert "price" not in str(spans)


@pytest.mark.parametrize(("path", "body"), [("/classify", ONE), ("/classify_batch", MANY)], ids=["single", "many"])
def test_a_share_of_the_requests_without_a_trace_gets_one(path: str, body: bytes) -> None:
    with collecting() as (address, spans):
        tracing = {"exporter_type": "otlp", "sample_rate": 0.25, "otlp": {"protocol": "http", "endpoint": address}}
        with tracing_server(tracing) as server:
            load(server, 4, path, body)
            load(server, 4, path, body, f"traceparent: {SAMPLED[:-1]}0\r\n")
        requests = [span for span in spans if "request_id" in span.attributes]
        # Of 512 requests a quarter are 128; one draw in a million would be outside.
        assert 80 <= len(requests) <= 180
        assert len({span.trace for span in requests}) == len(requests)
        assert {span.parent for span in spans if span.name == "predict"} == {span.id for span in requests}


def tracing_server(tracing: dict[str, Any]) -> Any:
    overrides = json.dumps({"services": {"credit_risk_classifier": {"tracing": tracing}}})
    return serving("--production", BENTOML_CONFIG_OVERRIDES=overrides, **LOGGING, OTEL_BSP_SCHEDULE_DELAY="100")
