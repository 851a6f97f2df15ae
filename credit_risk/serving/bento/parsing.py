"""What is parsed of a connection's bytes, and what is not: bounded heads, bodies after an upgrade, no trailers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from credit_risk.contract.errors import HeadTooLargeError, InvalidRequestError, RequestError
from credit_risk.serving.bento import bounds
from credit_risk.serving.bento.connections import Connections
from credit_risk.serving.bento.direct import DirectExchange
from credit_risk.serving.bento.exchange import Exchange


class Parsing(HttpToolsProtocol):
    """uvicorn's protocol up to where a request is known. The parser calls the methods `on_...`."""

    cycle: Exchange | DirectExchange  # type: ignore[assignment] # the request whose head came last

    def __init__(self, connections: Connections, config: Any, **state: Any) -> None:
        super().__init__(config, **state)
        self.guard = connections
        self.running: Exchange | DirectExchange | None = None
        self.is_over = False  # nothing is parsed any more
        self.arrived = 0.0  # perf_counter; what is parsed may have waited since then
        self.is_chosen = False  # the request, for a trace
        self.in_head = False
        self._head_bytes = 0
        self._body_bytes = 0  # of all bodies
        self._steady_from = 0
        self._framing_bytes = 0  # since the last byte of a body
        self._is_muted = False  # the parser, while it is told how a body is framed
        self._shed_for: str | None = None  # why the request that is parsed is refused, without an exchange
        self.unparsed = memoryview(b"")

    @abstractmethod
    def refuse(self, error: RequestError) -> None:
        """Answer what is under way, then this error, and parse nothing more."""

    @abstractmethod
    def reason_to_shed(self) -> str | None:
        """Say why the request whose head has ended is to be refused for overload, if it is."""

    @abstractmethod
    def direct(self) -> DirectExchange | None:
        """Begin the request whose head has ended without ASGI, if it can be answered so."""

    @abstractmethod
    def shed(self, reason: str) -> None:
        """Refuse it. Its body has ended."""

    @abstractmethod
    def give_up(self, error: RequestError) -> None:
        """Refuse what the caller began to send, and close."""

    @abstractmethod
    def close(self) -> None:
        """Close at once, without another word."""

    def parse(self, data: bytes) -> None:
        """Parse what came."""
        if len(data) <= bounds.PIECE and not self.unparsed:
            self._parse(data)
        else:
            self.unparsed = memoryview(bytes(self.unparsed) + data)
            self.parse_on()

    def parse_on(self) -> None:
        """Parse what has come, piece by piece, until requests queue on this connection."""
        while self.unparsed and not self.pipeline and not self.is_over:
            in_body = not self.in_head and self.cycle is not None and self.cycle.more_body
            size = bounds.PIECE_OF_BODY if in_body else bounds.PIECE
            piece, self.unparsed = self.unparsed[:size], self.unparsed[size:]
            self._parse(piece)
        if self.unparsed:
            self.guard.holds(self, len(self.unparsed))

    def comes_steadily(self) -> bool:
        """Tell whether STEADY bytes of bodies have come since this was last true."""
        comes = self._body_bytes >= self._steady_from + bounds.STEADY
        if comes:
            self._steady_from = self._body_bytes
        return comes

    def stop_parsing(self) -> None:
        """Parse nothing more."""
        self.is_over = True
        self.unparsed = memoryview(b"")

    def _parse(self, piece: bytes | memoryview) -> None:
        was_in_head, body_bytes = self.in_head, self._body_bytes
        try:
            self._feed(piece)
        except httptools.HttpParserError:
            self.refuse(InvalidRequestError("Send a well-formed HTTP/1.1 request"))
        if self.is_over:
            return
        if self.in_head:
            self._head_bytes += len(piece) if was_in_head else 0
            self._check_head()
            if self.running is None:
                self.guard.begun(self)
        elif self._body_bytes == body_bytes:
            self._check_framing(len(piece))
        if self.in_head or self._shed_for or (self.running is not None and self.cycle.more_body):
            self.guard.holds(self, len(piece))
        if self._shed_for or (isinstance(self.running, DirectExchange) and self.running.more_body):
            self.guard.awaited(self)
        if self.pipeline:
            self.guard.holds(self, len(self.pipeline) * bounds.QUEUED_REQUEST)

    def _check_head(self) -> None:
        if self._head_bytes > bounds.MOST_HEAD or len(self.headers) > bounds.MOST_HEADERS:
            self.refuse(HeadTooLargeError(bounds.MOST_HEAD, bounds.MOST_HEADERS))

    def _check_framing(self, size: int) -> None:
        """Bound what comes in the middle of a body and is no part of it: trailers, and extensions of chunks."""
        self._framing_bytes += size
        if self._framing_bytes > bounds.MOST_FRAMING and self.cycle is not None and self.cycle.more_body:
            self.refuse(HeadTooLargeError(bounds.MOST_HEAD, bounds.MOST_HEADERS))

    def _feed(self, data: bytes | memoryview) -> None:
        """Feed the parser. Requests may offer an upgrade, as those of Java's HttpClient do.

        A server may ignore the offer (RFC 9110, 7.8). The parser can't: it takes what follows for another protocol.
        """
        while data and not self.is_over:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            self._ignore_upgrade()

    def _ignore_upgrade(self) -> None:
        """Go on with another parser, and tell it how the body is framed, if there is one."""
        framing = [header for header in self.headers if header[0] in (b"content-length", b"transfer-encoding")]
        self.parser = httptools.HttpRequestParser(self)
        if framing:
            self._is_muted = True
            lines = b"".join(b"%b: %b\r\n" % header for header in framing)
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % lines)
            self._is_muted = False
        else:
            self.on_message_complete()

    def on_message_begin(self) -> None:
        if not self._is_muted:
            self.url = b""
            self.expect_100_continue = False
            self.headers = []
            self.in_head = True
            self._head_bytes = self._framing_bytes = 0

    def on_url(self, url: bytes) -> None:
        if not self._is_muted:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # else it is a trailer, or muted
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_muted:
            return
        self.in_head = False
        self._check_head()
        if self.is_over:
            return
        self.guard.asked(self)
        self._shed_for = self.reason_to_shed()
        if self._shed_for:
            return
        direct = self.direct()
        if direct is not None:
            self.running = self.cycle = direct
        else:
            self._begin_scope()
            super().on_headers_complete()

    def _begin_scope(self) -> None:
        """Make the scope, for which uvicorn's protocol begins the request anew."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        self.scope.update({"arrived": self.arrived, "chosen": self.is_chosen})  # type: ignore[misc]

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._framing_bytes = 0
        if self.is_over or self._shed_for:
            return
        if isinstance(self.cycle, DirectExchange):
            self.cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.is_over or self.parser.should_upgrade():  # then another parser finds its end
            return
        if self._shed_for:
            reason, self._shed_for = self._shed_for, None
            self.guard.finished(self)
            self.shed(reason)
            return
        if isinstance(self.cycle, DirectExchange):
            self.guard.finished(self)
            self.cycle.ask(self.arrived)
            return
        super().on_message_complete()
        self.scope["arrived"] = self.arrived  # type: ignore[typeddict-unknown-key]
        if not self.pipeline:
            self.guard.finished(self)

    def _should_upgrade(self) -> bool:
        return False
