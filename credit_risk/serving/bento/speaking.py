"""Makes BentoML's server speak as this project does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from uvicorn import config as uvicorn_config
from uvicorn.protocols.http import httptools_impl

from credit_risk.deciding.laps import Laps
from credit_risk.serving.batching import Batching
from credit_risk.serving.bento.connections import Connections, most_connections
from credit_risk.serving.bento.direct import DirectPath
from credit_risk.serving.bento.exchange import Exchange
from credit_risk.serving.bento.protocol import GuardedProtocol
from credit_risk.serving.bento.shedding import Shedding
from credit_risk.serving.bento.tracing import share_of_traces
from credit_risk.serving.bento.turns import Turns
from credit_risk.serving.concurrency import ConcurrencyLimit
from credit_risk.serving.endpoints import Endpoints
from credit_risk.serving.keys import Keys
from credit_risk.serving.settings import Settings
from credit_risk.serving.slow import SlowLog


def speak_for(
    settings: Settings,
    batching: Batching,
    endpoints: Callable[[], Endpoints],
    keys: Callable[[], Keys],
    is_draining: Callable[[], bool],
) -> None:
    """Make the uvicorn server that BentoML starts in this process use this protocol.

    To be called before the first request.
    """
    slow, max_latency = SlowLog(settings.slow_ms), batching.max_latency_ms / 1000

    def answered(path: str, status: int, seconds: float, laps: Laps | None) -> None:
        endpoints().metrics.answered(path, status, seconds, laps)
        if laps is not None and seconds > slow.seconds:
            slow.note(path, status, seconds, laps)

    def shed(reason: str) -> None:
        endpoints().metrics.shed(reason)

    direct = DirectPath(
        endpoints,
        keys,
        is_draining,
        enabled=settings.fast_path,
        server_timing=settings.server_timing,
        traces=share_of_traces(),
    )
    connections = Connections(most_connections(settings.max_connections), answered)
    shedding = Shedding(ConcurrencyLimit(batching.max_queue_size, max_latency), max_latency, is_draining, shed)
    protocol = partial(GuardedProtocol, connections, shedding, Turns(), direct)
    uvicorn_config.HTTP_PROTOCOLS["auto"] = protocol  # type: ignore[assignment]
    httptools_impl.RequestResponseCycle = Exchange  # type: ignore[misc] # uvicorn's protocol makes its cycles of it
