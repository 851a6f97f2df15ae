"""Every error that the project raises on purpose, and the one body in which the service reports it.

CreditRiskError
├── StartupError             the process refuses to start; the message names the setting and the fix
│   ├── SettingError
│   ├── PolicyError
│   ├── CatalogueError
│   ├── FeaturesError
│   ├── ModelError
│   └── DependencyError
├── DataError                a file that can't be used; `problems` lists lines and columns
├── ReleaseError             a trained model that failed its release gate and remains a candidate
└── RequestError             answered to the caller with an HTTP status
    ├── InvalidRequestError   400
    ├── UnauthorizedError     401
    ├── ForbiddenError        403
    ├── NotFoundError         404
    ├── TimedOutError         408
    ├── TooLargeError         413
    ├── UnsupportedTypeError  415
    ├── NotOnFileError        422
    ├── LimitedError          429, with Retry-After
    ├── HeadTooLargeError     431
    ├── FailedError           500
    ├── UnavailableError      503, with Retry-After
    ├── TooSlowError          504
    └── those of conflicts.py 406, 409, 422, 507
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import ClassVar, TypedDict


class Detail(TypedDict):
    """One fault of a request: where (keys and positions from the outside in), what to do, and a stable type."""

    loc: list[str | int]
    msg: str
    type: str


class CreditRiskError(Exception):
    """The base of all errors that are raised on purpose."""


class StartupError(CreditRiskError):
    """The process can't start as it is set up."""


class SettingError(StartupError):
    """A setting is missing, unknown or out of range."""


class PolicyError(StartupError):
    """The policy file can't be read or contradicts itself."""


class CatalogueError(StartupError):
    """The catalogue of reasons can't be read or is incomplete."""


class FeaturesError(StartupError):
    """What is on file can't be used: the features file is wrong, or the feature store refuses."""


class ModelError(StartupError):
    """The model is not in the store, or this version can't serve it."""


class DependencyError(StartupError):
    """A library is not of the version that this project is built for."""


class DataError(CreditRiskError):
    """A file can't be used. `problems` lists its malformed rows in the order of the file."""

    def __init__(self, summary: str, problems: list[str] | None = None) -> None:
        super().__init__(summary)
        self.problems = problems or []


class ReleaseError(CreditRiskError):
    """A trained model is not good enough to be the latest. The message names each figure that failed."""


class RequestError(CreditRiskError):
    """A request that is answered with an error. It never contains a value that the caller sent."""

    status: ClassVar[HTTPStatus]

    def __init__(self, summary: str, detail: list[Detail] | None = None) -> None:
        super().__init__(summary)
        self.headers: dict[str, str] = {}  # sent with the answer
        self.detail = detail or []

    @property
    def body(self) -> bytes:
        return error_body(str(self), self.detail)


class InvalidRequestError(RequestError):
    """The body is not what the contract asks for; nothing was scored."""

    status = HTTPStatus.BAD_REQUEST


class UnauthorizedError(RequestError):
    """The request has no valid API key."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__("Send a valid API key as a bearer token")
        self.headers["www-authenticate"] = "Bearer"


class ForbiddenError(RequestError):
    """The caller's API key has no right to what it asks for."""

    status = HTTPStatus.FORBIDDEN


class NotFoundError(RequestError):
    """There is nothing at this path."""

    status = HTTPStatus.NOT_FOUND

    def __init__(self, summary: str = "There is nothing here; / lists what there is") -> None:
        super().__init__(summary)


class TimedOutError(RequestError):
    """The head or the body did not end in time."""

    status = HTTPStatus.REQUEST_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Send the whole request within {seconds:g} seconds")


class TooLargeError(RequestError):
    """The body is too large."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(f"Send at most {limit} bytes in a request")


class UnsupportedTypeError(RequestError):
    """The body is of a type that is never read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE

    def __init__(self, summary: str = "Send JSON, as application/json") -> None:
        super().__init__(summary)


class NotOnFileError(RequestError):
    """A field was left out of an application and is not on file, or too old there; send it."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class LimitedError(RequestError):
    """The caller asks for more than its API key allows; try again after Retry-After seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, summary: str, seconds: float) -> None:
        super().__init__(summary)
        self.headers["retry-after"] = str(max(1, math.ceil(seconds)))


class HeadTooLargeError(RequestError):
    """The request line and the headers are too large."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def __init__(self, size: int, count: int) -> None:
        super().__init__(f"Send at most {size} bytes and {count} fields in the head of a request")


class FailedError(RequestError):
    """The service failed; the request was not decided."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self) -> None:
        super().__init__("The service failed; the request was not decided")


class UnavailableError(RequestError):
    """The service can't decide now; try again after Retry-After seconds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, summary: str, retry_after: int = 1) -> None:
        """`retry_after` is in seconds. An overload of the queue is over sooner than the least that can be said."""
        super().__init__(summary)
        self.headers["retry-after"] = str(max(1, retry_after))


class TooSlowError(RequestError):
    """The service did not answer in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The service did not answer within {seconds:g} seconds")


def error_body(summary: str, detail: list[Detail] | None = None) -> bytes:
    """Make the one body of every error answer: `{"error": "...", "detail": [...]}`."""
    return json.dumps({"error": summary, "detail": detail or []}, separators=(",", ":")).encode()
