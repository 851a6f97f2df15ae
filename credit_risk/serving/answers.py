"""Answers, as they go back to callers: decisions and errors."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import NamedTuple

from credit_risk.contract.errors import FailedError, RequestError

logger = logging.getLogger("credit_risk")

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What goes back to the caller. The body is always JSON."""

    status: HTTPStatus
    headers: Headers
    body: bytes


def decided(body: bytes, request_id: str) -> Answer:
    """Make the answer that tells one decision or more."""
    headers = [
        (b"content-type", b"application/json"),
        (b"x-request-id", request_id.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    return Answer(HTTPStatus.OK, headers, body)


def refusal(error: RequestError, request_id: str | None = None) -> Answer:
    """Make the answer to an error, with the id of the request if there was one."""
    body = error.body
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if request_id is not None:
        headers.append((b"x-request-id", request_id.encode()))
    headers += [(name.encode(), value.encode()) for name, value in error.headers.items()]
    return Answer(error.status, headers, body)


def refusal_of(error: Exception, request_id: str) -> Answer:
    """Make the answer to whatever went wrong with a request."""
    if isinstance(error, RequestError):
        return refusal(error, request_id)
    return refusal(failed(error, request_id), request_id)


def failed(error: Exception, request_id: str | None = None) -> FailedError:
    """Make the answer to an unexpected error, and log where it happened.

    The error's message and the local variables may hold applicants' data.
    """
    kind = type(error)
    where = (kind, Exception(), error.__traceback__)
    known = {"request_id": request_id} if request_id else None
    logger.error("%s while answering a request", kind.__name__, exc_info=where, extra=known)
    return FailedError()
