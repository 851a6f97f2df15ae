"""The endpoints: from a request to its answer, errors included. Every way into the service ends here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any, NamedTuple

from credit_risk.contract.customer import Asked, Part, Referenced
from credit_risk.contract.parsing import parse_asked, parse_in_parts
from credit_risk.contract.rows import is_single
from credit_risk.contract.tables import parse_table
from credit_risk.deciding.decided import Origin
from credit_risk.deciding.laps import Kind, Laps
from credit_risk.deciding.log import PART
from credit_risk.model.decoding import Decoder
from credit_risk.serving.answers import Answer, decided, refusal_of
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.once import Once, Use, together, without
from credit_risk.serving.request_ids import request_id_of
from credit_risk.serving.runner import AdaptiveRunner, Asker

Parse = Callable[[bytes], Asked | Referenced]
ParseParts = Callable[[bytes], Iterable[Part]]  # all are known to be valid after the last

Decide = Callable[..., Awaitable[bytes]]  # takes a Request, its Origin, its Laps and, if it has a key, its Use


class Request(NamedTuple):
    """What the endpoints need to know of a request."""

    body: bytes
    request_id: bytes | None  # the caller's own, if it sent one
    caller: str | None  # name of its API key
    begun: float  # perf_counter; when its last byte came, at the earliest
    key: bytes | None = None  # the caller's Idempotency-Key
    scope: MutableMapping[str, Any] | None = None  # of ASGI, where the stopwatch of the request is left


class Endpoints:
    """Answers requests for decisions."""

    def __init__(
        self,
        runner: AdaptiveRunner,
        metrics: Metrics,
        decoder: Decoder,
        on_file: Callable[[], frozenset[str]] | None = None,
        *,
        once: Once,
        server_timing: bool = False,
    ) -> None:
        """`on_file` names the fields that an application may leave out; without it, none may name a customer.

        With `server_timing`, answers tell how long each stage took.
        """
        self._server_timing = server_timing
        self._runner = runner
        self._once = once
        self._on_file = on_file
        self.metrics = metrics
        self._decoder = decoder
        self._parse: Parse = parse_asked if on_file is None else self._parse_asked
        self._classify = partial(self._decide_one, self._parse)

    async def classify(self, request: Request) -> Answer:
        """Decide one application, sent as a JSON object."""
        return await self._answer("classify", self._classify, request, "single")

    def ask(self, body: bytes, origin: Origin, laps: Laps, asker: Asker) -> None:
        """Ask for one decision, as `classify` does for requests without a key, but wait for nothing: `asker` is told.

        The stopwatch began when the request's last byte came, at the earliest.

        Raises what `refusal_of` makes an answer of.
        """
        self._runner.refuse_late(laps.last, laps.begun)
        application, origin = _parsed(self._parse, body, origin, laps)
        self._runner.submit(application, origin, asker, since=laps.last, arrived=laps.begun)

    async def classify_batch(self, request: Request) -> Answer:
        """Decide many applications, sent as a JSON array. The decisions come in the same order."""
        return await self._answer("classify_batch", partial(self._decide_many, self._parse_in_parts), request)

    async def classify_array(self, request: Request) -> Answer:
        """Decide a row of numbers in the order of the model's features, or an array of rows."""
        if is_single(request.body):
            decide_row = partial(self._decide_one, self._decoder.parse_row)
            return await self._answer("classify_array", decide_row, request, "single")
        return await self._answer("classify_array", partial(self._decide_many, self._decoder.parse_in_parts), request)

    async def classify_table(self, request: Request) -> Answer:
        """Decide the rows of a table as pandas writes it, or of CSV. The decisions come in the same order."""
        return await self._answer("classify_table", partial(self._decide_many, self._parse_table), request)

    def _parse_asked(self, body: bytes) -> Asked | Referenced:
        return parse_asked(body, self._on_file and self._on_file())

    def _parse_in_parts(self, body: bytes) -> Iterator[Part]:
        return parse_in_parts(body, self._on_file and self._on_file())

    def _parse_table(self, body: bytes) -> Iterator[Part]:
        return parse_table(body, self._on_file and self._on_file())

    async def _decide_one(
        self, parse: Parse, request: Request, origin: Origin, laps: Laps, use: Use | None = None
    ) -> bytes:
        if use is not None:
            found = await use.found(1)
            laps.end("keys")
            if found:
                return found[0]
            origin = origin._replace(ids=partial(use.id_of, 0))
        self._runner.refuse_late(laps.last, request.begun)
        application, origin = _parsed(parse, request.body, origin, laps)
        decided = await self._runner.run(application, origin, request.begun, laps)
        return decided.renderer.answer(decided)

    async def _decide_many(
        self, parse: ParseParts, request: Request, origin: Origin, laps: Laps, use: Use | None = None
    ) -> bytes:
        parts: deque[Part] = deque()  # all are known to be valid before the first is decided
        try:
            for part in parse(request.body):
                parts.append(part)
                laps.end("validate")
                await asyncio.sleep(0)  # single requests are answered in between
                laps.end("queue")
        finally:
            laps.end("validate")
        found: Mapping[int, bytes] = {}
        if use is not None:
            size = sum(map(len, parts))
            found = await use.found(size)
            laps.end("keys")
            parts, origin = deque(without(parts, found)), origin._replace(ids=use.ids_without(found))
        decisions = await self._runner.run_many(_emptied(parts), origin, laps)
        answers: list[bytes] = []
        while decisions:  # which are given up in parts, too, because to free all of them at once takes milliseconds
            answers += [decided.renderer.answer(decided) for decided in decisions[:PART]]
            del decisions[:PART]
            await asyncio.sleep(0)
        return b"[" + b",".join(together(answers, found, size) if found else answers) + b"]"

    async def _answer(self, name: str, decide: Decide, request: Request, kind: Kind = "many") -> Answer:
        laps = Laps(self.metrics.spent, kind, request.begun)
        laps.end("read")
        origin = Origin(request_id_of(request.request_id), request.caller)
        laps.request_id = origin.request_id
        if request.scope is not None:
            request.scope["laps"] = laps
        answer = await self._attempt(name, decide, request, origin, laps)
        if self._server_timing:
            answer.headers.append((b"server-timing", laps.server_timing()))
        return answer

    async def _attempt(self, name: str, decide: Decide, request: Request, origin: Origin, laps: Laps) -> Answer:
        # No error is kept here: its traceback refers to this frame, and the circle would keep the request in memory
        # until the garbage collector comes, which is rarely.
        is_again = False
        try:
            if request.key is None:
                body = await decide(request, origin, laps)
            else:
                content = (name.encode(), b"\n", request.body)
                deciding = partial(_deciding, decide, request, origin, laps)
                body, is_again = await self._once.answer(request.caller, request.key, content, deciding)
                laps.end("keys")
        except Exception as error:
            return refusal_of(error, origin.request_id)
        answer = decided(body, origin.request_id)
        if is_again:
            answer.headers.append((b"idempotency-replayed", b"true"))
        return answer


def _parsed(parse: Parse, body: bytes, origin: Origin, laps: Laps) -> tuple[Asked, Origin]:
    try:
        application = parse(body)
    finally:
        laps.end("validate")
    if isinstance(application, Referenced):
        return application.application, origin._replace(reference=application.reference)
    return application, origin


async def _deciding(decide: Decide, request: Request, origin: Origin, laps: Laps, use: Use) -> bytes:
    laps.end("keys")
    answer = await decide(request, origin, laps, use)
    laps.end("write")
    return answer


def _emptied(parts: deque[Part]) -> Iterator[Part]:
    """Give the parts and keep none, because each takes as much memory as its decisions."""
    while parts:
        yield parts.popleft()
