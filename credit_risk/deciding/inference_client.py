"""A client of the Open Inference Protocol over HTTP, with connections that are kept alive."""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus

import aiohttp

from credit_risk.deciding.open_inference import (
    HEAD_LENGTH,
    Address,
    Answer,
    ModelMetadata,
    ServerError,
    ServerMetadata,
    WrongAnswerError,
    read,
    read_answer,
    request_of,
)
from credit_risk.model.features import Matrix

KEPT_ALIVE = 4.0  # seconds; uvicorn, which serves MLServer, closes a connection that has idled for 5
MOST_BYTES = 2**24  # of an answer


class LostError(ServerError):
    """There is no connection, or it broke before the answer was whole."""


class SlowError(ServerError):
    """The answer did not come in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"does not answer within {seconds * 1000:g} ms")


class NotReadyError(ServerError):
    """The server does not serve the model now."""


class NoModelError(ServerError):
    """The server does not have the model."""


class InferenceClient:
    """Asks a server about one model. To be used on one event loop only. All its methods raise ServerError."""

    def __init__(self, address: Address, timeout: float) -> None:
        """`timeout` is in seconds, for each exchange."""
        self._address = address
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def see_ready(self) -> None:
        """See whether the model can be asked. Raises NoModelError or NotReadyError."""
        status, _, _ = await self._exchange("GET", f"{self._address.path}/ready")
        if status == HTTPStatus.NOT_FOUND:
            raise NoModelError(f"has no model {self._address.path.removeprefix('/v2/models/')}")
        if status != HTTPStatus.OK:
            raise NotReadyError(f"says that {self._address.name} is not ready (status {status})")

    async def server(self) -> ServerMetadata:
        return read(ServerMetadata, (await self._successful("GET", "/v2"))[0])

    async def model(self) -> ModelMetadata:
        return read(ModelMetadata, (await self._successful("GET", self._address.path))[0])

    async def infer(self, tensor: str, matrix: Matrix, *, binary: bool) -> Answer:
        """Ask for one number for each row of a matrix (n, features)."""
        headers, body = request_of(tensor, matrix, binary=binary)
        return read_answer(*await self._successful("POST", f"{self._address.path}/infer", headers, body), len(matrix))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _successful(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[bytes, str | None]:
        """Give the body of an answer, and how much of it is JSON if the server says so."""
        status, content, head_length = await self._exchange(method, path, headers, body)
        if status != HTTPStatus.OK:
            raise WrongAnswerError(f"answers with status {status}")
        return content, head_length

    async def _exchange(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, bytes, str | None]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_ALIVE),
                headers={"Accept-Encoding": "identity"},  # to compress some numbers costs more than to send them
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        url = self._address.server + path
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                content = bytearray()
                async for part in response.content.iter_any():
                    content += part
                    if len(content) > MOST_BYTES:
                        raise WrongAnswerError("answers with too many bytes")
                return response.status, bytes(content), response.headers.get(HEAD_LENGTH)
        except TimeoutError:
            raise SlowError(self._timeout) from None
        except aiohttp.ClientConnectorError as error:
            why = os.strerror(error.errno) if error.errno else "no such host"
            raise LostError(f"can't be reached: {why}") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            raise LostError("broke the connection") from None
        except aiohttp.ClientError:  # its text could quote the address, with the credentials in it
            raise WrongAnswerError("answers with something else than HTTP") from None
