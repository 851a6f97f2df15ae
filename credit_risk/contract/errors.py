"""Every error the project raises on purpose, and the one body in which the service reports it.

CreditRiskError
├── StartupError            the process refuses to start; the message names the setting and the fix
│   ├── SettingError
│   ├── PolicyError
│   ├── CatalogueError
│   └── ModelError
├── DataError               a table that can't be used; names each line and column
├── ReleaseError            a trained model that failed its release gate
└── RequestError            answered to the caller, with an HTTP status
    ├── InvalidRequestError  400
    ├── UnauthorizedError    401
    ├── TimedOutError        408
    ├── TooLargeError        413
    └── UnavailableError     503, with Retry-After
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import ClassVar, TypedDict


class Detail(TypedDict):
    """One fault of a request: where (keys and positions from the outside in), what to do, and a stable type."""

    loc: list[str | int]
    msg: str
    type: str


class CreditRiskError(Exception):
    """Base of all errors raised on purpose."""


class StartupError(CreditRiskError):
    """The process can't start as it is set up."""


class SettingError(StartupError):
    """A setting is missing, unknown or out of range."""


class PolicyError(StartupError):
    """The policy file can't be read or contradicts itself."""


class CatalogueError(StartupError):
    """The catalogue of reasons can't be read or is not complete."""


class ModelError(StartupError):
    """The model is not in the store, or is not one that this version can serve."""


class DataError(CreditRiskError):
    """A table of applications has malformed rows; `problems` lists them in the order of the file."""

    def __init__(self, summary: str, problems: list[str] | None = None) -> None:
        super().__init__(summary)
        self.problems = problems or []


class ReleaseError(CreditRiskError):
    """A trained model is not good enough for the store; the message names each figure that failed."""


class RequestError(CreditRiskError):
    """A request that is answered with an error. Never carries a value that the caller sent."""

    status: ClassVar[HTTPStatus]

    def __init__(self, summary: str, detail: list[Detail] | None = None) -> None:
        super().__init__(summary)
        self.detail = detail or []

    @property
    def body(self) -> bytes:
        return error_body(str(self), self.detail)


class InvalidRequestError(RequestError):
    """The body is not what the contract asks for."""

    status = HTTPStatus.BAD_REQUEST


class UnauthorizedError(RequestError):
    """The request has no valid API key."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__("Send a valid API key as a bearer token")


class TimedOutError(RequestError):
    """The end of the body did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Send the whole request within {seconds:g} seconds")


class TooLargeError(RequestError):
    """The body is larger than a request may be."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(f"Send at most {limit} bytes in a request")


class UnavailableError(RequestError):
    """The service can't decide now; the caller should try again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


def error_body(summary: str, detail: list[Detail] | None = None) -> bytes:
    """The one body of every error answer: `{"error": "...", "detail": [...]}`."""
    return json.dumps({"error": summary, "detail": detail or []}, separators=(",", ":")).encode()
