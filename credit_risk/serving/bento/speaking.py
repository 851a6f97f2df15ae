"""Makes BentoML's server speak as this project does."""

from __future__ import annotations

from functools import partial

from uvicorn import config as uvicorn_config
from uvicorn.protocols.http import httptools_impl

from credit_risk.serving.batching import Batching
from credit_risk.serving.bento.connections import Connections, most_connections
from credit_risk.serving.bento.direct import DirectPath
from credit_risk.serving.bento.exchange import Exchange
from credit_risk.serving.bento.protocol import GuardedProtocol
from credit_risk.serving.bento.shedding import Shedding
from credit_risk.serving.bento.turns import Turns
from credit_risk.serving.concurrency import ConcurrencyLimit
from credit_risk.serving.settings import Settings


def speak_for(settings: Settings, batching: Batching, direct: DirectPath) -> None:
    """Make the uvicorn server that BentoML starts in this process use this protocol."""
    max_latency = batching.max_latency_ms / 1000
    connections = Connections(
        most_connections(settings.max_connections), lambda *answer: direct.endpoints().metrics.answered(*answer)
    )
    limit = ConcurrencyLimit(batching.max_queue_size, max_latency)
    shedding = Shedding(limit, max_latency, direct.is_draining, lambda reason: direct.endpoints().metrics.shed(reason))
    taken = direct if settings.fast_path else None
    protocol = partial(GuardedProtocol, connections, shedding, Turns(), taken)
    uvicorn_config.HTTP_PROTOCOLS["auto"] = protocol  # type: ignore[assignment]
    httptools_impl.RequestResponseCycle = Exchange  # type: ignore[misc] # uvicorn's protocol makes its cycles of it
