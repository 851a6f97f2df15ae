"""This service, with every request profiled from its last byte to its answer: the batch is decided on its way."""

from __future__ import annotations

import os
from contextlib import ExitStack

import service
from bench.architectures.profiling import ONE_AT_A_TIME, page_of, profiled
from credit_risk.serving.bento.direct import DirectExchange

svc = service.svc
_ask, _end = DirectExchange.ask, DirectExchange._end
_profiles: dict[DirectExchange, ExitStack] = {}  # of the request that is worked on


def ask(self: DirectExchange, arrived: float) -> None:
    if ONE_AT_A_TIME.acquire(blocking=False):
        _profiles[self] = ExitStack()
        _profiles[self].enter_context(profiled(os.environ["PROFILER"], page_of("this-service")))
    _ask(self, arrived)


def end(self: DirectExchange, status: int) -> None:
    _end(self, status)
    if self in _profiles:
        _profiles.pop(self).close()
        ONE_AT_A_TIME.release()


DirectExchange.ask = ask  # type: ignore[method-assign]
DirectExchange._end = end  # type: ignore[method-assign]
