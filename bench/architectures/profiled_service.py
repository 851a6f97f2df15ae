"""This service, with every request profiled."""

from __future__ import annotations

from typing import Any

import service
from bench.architectures.profiling import ProfiledASGI

svc = service.svc
_to_asgi = svc.to_asgi


def to_asgi(*arguments: Any, **named: Any) -> ProfiledASGI:
    """Profile all that the worker does until the answer: the batch is decided in a task of its own."""
    return ProfiledASGI(_to_asgi(*arguments, **named), "this-service", awaits=False)


svc.to_asgi = to_asgi  # type: ignore[method-assign]
