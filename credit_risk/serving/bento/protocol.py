"""A connection of HTTP/1.1: uvicorn's protocol, with bounds on what a caller may send, keep open and leave unread.

They hold for every route, because this stands in front of all of them.
"""

from __future__ import annotations

from http import HTTPStatus
from time import perf_counter
from typing import Any

from credit_risk.contract.errors import RequestError, UnavailableError
from credit_risk.deciding.laps import Laps
from credit_risk.serving.answers import refusal
from credit_risk.serving.bento.connections import Connections
from credit_risk.serving.bento.direct import PATH, DirectExchange, DirectPath
from credit_risk.serving.bento.exchange import Exchange
from credit_risk.serving.bento.head import CLOSE, head_of
from credit_risk.serving.bento.parsing import Parsing
from credit_risk.serving.bento.shedding import Shedding
from credit_risk.serving.bento.turns import Turns
from credit_risk.serving.routes import JOBS

MOST_THROWN_AWAY = 16 * 2**20  # bytes that are read after the last answer
FROM_ENDPOINTS = (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)
CROWDED = "The service is overloaded: it has too many connections"


class GuardedProtocol(Parsing):
    """One connection, and its requests one after the other."""

    def __init__(
        self,
        connections: Connections,
        shedding: Shedding,
        turns: Turns,
        direct: DirectPath,
        config: Any,
        **state: Any,
    ) -> None:
        super().__init__(connections, config, **state)
        self._direct = direct
        # All have the same. uvicorn makes its configuration after `speak_for`, and shows it to protocols only.
        connections.keep_alive = config.timeout_keep_alive
        self._shedding = shedding
        self._turns = turns
        self._paused_since: float | None = None  # reading, because requests queue here
        self._refusal: RequestError | None = None  # to be sent after what is under way
        self._thrown_away = 0  # bytes

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if not self.guard.opened(self):
            self.refuse(UnavailableError(CROWDED))

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(self.cycle, DirectExchange):
            self.cycle = None  # type: ignore[assignment] # uvicorn's protocol would wake its task
        super().connection_lost(exc)
        self.guard.lost(self)
        self.stop_parsing()
        self.pipeline.clear()
        if self.running is not None:
            self._abandon(self.running)

    def data_received(self, data: bytes) -> None:
        if self.is_over:
            self._thrown_away += len(data)
            if self._thrown_away > MOST_THROWN_AWAY:
                self.close()
            return
        seen = self._turns.seen()
        self.arrived = seen if self._paused_since is None else self._paused_since
        self._paused_since = None
        self.parse(data)
        if self.flow.read_paused and self.pipeline:
            self._paused_since = perf_counter()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.guard.unsent(self, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self.guard.sent(self)

    # What exchanges and the guard ask for

    def wants_body(self) -> None:
        self.parse_on()
        if self.running is not None and self.running.more_body:
            self.flow.resume_reading()
            if self.running.scope["path"] == JOBS and self.comes_steadily():
                self.guard.finished(self)  # the clock of an upload begins anew
            self.guard.awaited(self)

    def has_body(self) -> None:
        if not (self.pipeline or self.unparsed):
            self.flow.resume_reading()

    def answered(self, path: str, status: int, arrived: float, laps: Laps | None) -> None:
        now = perf_counter()
        self._turns.answered(now)
        self.guard.answered(path, status, now - arrived, laps)
        # Refusals do not tell how long things take: those of wrong keys are slow on purpose.
        is_refused = status not in FROM_ENDPOINTS
        self._is_under_way_no_more(path, 0.0 if is_refused else now - arrived, is_refused=is_refused)

    def reason_to_shed(self) -> str | None:
        self._is_plain = (
            self.url == b"/classify"
            and self.running is None  # which is answered first
            and not self.expect_100_continue
            and self.parser.get_method() == b"POST"
            and self.parser.should_keep_alive()
        )
        return self._shedding.reason(self.headers, self.arrived) if self._is_plain else None

    def direct(self) -> DirectExchange | None:
        self.is_chosen = self._direct.chooses_for_a_trace(self.url)
        if not self._is_plain or self.flow.write_paused or self.parser.should_upgrade():
            return None
        exchange = self._direct.exchange(self, self.headers, self.arrived, traced=self.is_chosen)
        if exchange is not None:
            self._shedding.limit.begun()
        return exchange

    def shed(self, reason: str) -> None:
        self.transport.write(self._shedding.answer(reason, self.headers))
        self.guard.answered("/classify", HTTPStatus.SERVICE_UNAVAILABLE, perf_counter() - self.arrived, None)
        self.guard.answered_all(self)

    def give_up(self, error: RequestError) -> None:
        if self.running is not None and self.running.more_body:
            self.running.give_up(error)
        elif self.in_head or self.running is not None:
            self.refuse(error)
        else:
            self.guard.lost(self)
            self.transport.close()

    def close(self) -> None:
        self.transport.abort()

    def refuse(self, error: RequestError) -> None:
        if self.is_over:  # once is enough
            return
        self.stop_parsing()
        if self.pipeline and self.pipeline[0][0].more_body:  # the newest one, whose body will not end
            self.pipeline.popleft()
        if self.running is not None and self.running.more_body:
            self._abandon(self.running)
        if self.running is None:
            self._say(error)
        else:
            self._refusal = error

    def linger(self) -> None:
        """End the connection, but read on for a moment.

        A connection that is closed with bytes unread is reset, and the caller may lose the answer (RFC 9112, 9.6).
        """
        self.stop_parsing()
        self.pipeline.clear()
        self._refusal = None
        if self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self.guard.lingers(self)

    # One request after the other

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.running = cycle
        if cycle.scope["path"] == PATH:  # whose requests count for the limit
            self._shedding.limit.begun()
        task = cycle.start(self, app)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _abandon(self, exchange: Exchange | DirectExchange) -> None:
        exchange.abandon()
        self._is_under_way_no_more(exchange.scope["path"], 0.0, is_refused=True)
        self.running = None

    def _is_under_way_no_more(self, path: str, seconds: float, *, is_refused: bool) -> None:
        if path == PATH:  # whose requests count for the limit
            self._shedding.limit.ended(seconds, perf_counter(), is_refused=is_refused)

    def on_response_complete(self) -> None:
        """Go on with the next request. uvicorn would read on while requests queue, without end."""
        self.server_state.total_requests += 1
        self.running = None
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._say(self._refusal)
        elif not self.is_over:
            self._read_on()

    def _read_on(self) -> None:
        self.guard.finished(self)
        self.parse_on()
        if self.running is not None or self.is_over:
            return
        self.flow.resume_reading()
        if self.in_head:
            self.guard.begun(self)
        else:
            self.guard.answered_all(self)

    def _say(self, error: RequestError) -> None:
        status, headers, body = refusal(error)
        self.transport.write(head_of(status, [*headers, CLOSE]) + b"\r\n" + body)
        self.guard.answered("", status, 0.0, None)
        self.linger()
