"""Errors of requests that are well-formed and can't be fulfilled as things are."""

from __future__ import annotations

import math
from http import HTTPStatus

from credit_risk.contract.errors import RequestError


class NotAcceptableError(RequestError):
    """The caller accepts none of the forms that there are."""

    status = HTTPStatus.NOT_ACCEPTABLE


class ConflictError(RequestError):
    """What is asked for is not possible as things are now; perhaps after Retry-After seconds."""

    status = HTTPStatus.CONFLICT

    def __init__(self, summary: str, retry_after: float | None = None) -> None:
        super().__init__(summary)
        if retry_after is not None:
            self.headers["retry-after"] = str(max(1, math.ceil(retry_after)))


class KeyReusedError(RequestError):
    """An idempotency key was used before, for another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self) -> None:
        super().__init__("Send another Idempotency-Key: this one came with another request before")


class StorageFullError(RequestError):
    """There is no room for what was sent."""

    status = HTTPStatus.INSUFFICIENT_STORAGE

    def __init__(self) -> None:
        super().__init__("The service has no room for the file now; try again later")
