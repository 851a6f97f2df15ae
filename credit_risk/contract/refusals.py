"""Why the service can't decide now, as callers are told with status 503."""

from __future__ import annotations

UNFINISHED = "The service is overloaded: callers have sent too much that it can't work on yet"
TOO_BUSY = "The service is overloaded: it has as many requests as it can answer in time"
WAITED_TOO_LONG = "The service is overloaded: the request waited too long"
NOT_RECORDED = "The decision can't be recorded, so it was not made"
QUEUE_FULL = "The service is overloaded: its queue is full"
NO_FILES = "What is on file can't be looked up now; try again, or send all fields"
