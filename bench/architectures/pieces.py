"""The pieces of the three architectures, and how they are started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from socket import SO_REUSEADDR, SOL_SOCKET, socket

import click
import psutil

from bench.architectures.feature_store import OF_HANDLERS, OF_THIS_SERVICE, Customer, fill, redis_server
from bench.peer import BIN, Peer, Running, bentoml_serve, running
from credit_risk.model import MODEL_NAME

SYNC, ASYNC, OURS_REMOTE, OURS_LOCAL = "sync", "async", "this service", "this service, model in process"

PORTS = {
    "async model": 8000,
    ASYNC: 8001,
    "sync model": 5000,
    SYNC: 5001,
    OURS_REMOTE: 3055,
    OURS_LOCAL: 3056,
    "model server": 8100,
    "redis": 6390,
}
MOST_CONNECTIONS = 10_000  # of a worker of gunicorn, whose default is 1,000: connections must not be the limit


@dataclass(frozen=True)
class Kind:
    """What the model APIs do, and how many of their answers a decision needs."""

    name: str
    sleeps: bool
    calls: int
    sentence: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("sleeping", True, 2, "A decision needs two answers of a model API that sleeps 40 to 50 ms."),
        Kind("real", False, 1, "A decision needs one answer of a model API that answers as fast as it can."),
    )
}


@dataclass(frozen=True)
class Ports:
    """Where everything listens: the scoring handler's own ports, and some beside them."""

    offset: int = 0

    def __getitem__(self, piece: str) -> int:
        return self.offset + PORTS[piece]

    def check_free(self) -> None:
        """Raise click's UsageError if one is taken: what listens there would be measured."""
        for piece in PORTS:
            with socket() as probe:
                probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self[piece]))
                except OSError:
                    raise click.UsageError(f"port {self[piece]} is taken: add --port-offset 20000") from None


@dataclass(frozen=True)
class Architecture:
    """A running architecture: where its decisions are asked for, and its processes by piece."""

    name: str
    url: str
    path: str
    pieces: dict[str, Running]
    redis: psutil.Popen

    @property
    def health_checks(self) -> list[str]:
        """List the addresses that tell whether its pieces are up."""
        return [f"{running.url}/{_health_check(piece)}" for piece, running in self.pieces.items()]

    def processes(self) -> dict[str, list[psutil.Process]]:
        """List the processes of each piece."""
        return {piece: running.family() for piece, running in self.pieces.items()} | {"redis": [self.redis]}

    def processor_seconds(self) -> dict[str, float]:
        """Give the processor time that each piece has used so far."""
        used = {piece: [p.cpu_times() for p in processes] for piece, processes in self.processes().items()}
        return {piece: sum(time.user + time.system for time in times) for piece, times in used.items()}

    def memory_mb(self) -> float:
        """Add up the memory of all pieces but the feature store."""
        return sum(running.memory_mb() for running in self.pieces.values())


def _health_check(piece: str) -> str:
    return {"service": "readyz", "model server": f"v2/models/{MODEL_NAME}/ready"}.get(piece, "api/v1/healthcheck")


@contextmanager
def architectures(
    kind: Kind, ports: Ports, customers: Sequence[Customer], *, threads: int, environment: dict[str, str] | None = None
) -> Iterator[dict[str, Architecture]]:
    """Start everything that the kind of experiment needs, with the customers in the feature store.

    `environment` is what asks for profiles.
    """
    ports.check_free()
    store = f"redis://127.0.0.1:{ports['redis']}"
    service = "bench.architectures.profiled_service:svc" if environment else "service:svc"
    behind, in_front = _behind(kind, threads), _in_front(kind, ports, store, service, threads)
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(ports["redis"]))
        fill(store, customers)
        started: dict[str, Running] = {}
        for together in (behind, in_front):  # this service asks the model server who it is when it starts
            peers = [replace(peer, environment=peer.environment | (environment or {})) for peer in together.values()]
            with ThreadPoolExecutor() as pool:
                pairs = zip(peers, map(ports.__getitem__, together), strict=True)
                found = pool.map(lambda pair: stack.enter_context(running(*pair)), pairs)
                started.update(zip(together, found, strict=True))
        yield {name: _architecture(name, started, redis) for name in in_front}


def _behind(kind: Kind, threads: int) -> dict[str, Peer]:
    sleeps = {"MODEL_SLEEPS": "yes" if kind.sleeps else "no"}
    return {
        "sync model": Peer("", _gunicorn("bench.architectures.model_sync:app", threads), sleeps),
        "async model": Peer("", _uvicorn("bench.architectures.model_async:app"), sleeps),
        "model server": Peer("", _uvicorn("bench.architectures.model_server:app"), sleeps),
    }


def _in_front(kind: Kind, ports: Ports, store: str, target: str, threads: int) -> dict[str, Peer]:
    with_features = {
        "CREDIT_RISK_FEATURES": f"{store}/{OF_THIS_SERVICE}",
        "CREDIT_RISK_FEATURES_CACHE_SIZE": "0",  # the handlers have no cache either
        "CREDIT_RISK_FEATURES_TIMEOUT_MS": "1000",  # the handlers wait for longer
    }
    service = Peer("", bentoml_serve(target), with_features)
    peers = {
        SYNC: Peer("", _gunicorn("bench.architectures.scoring_sync:app", threads), _handler(SYNC, kind, ports, store)),
        ASYNC: Peer("", _uvicorn("bench.architectures.scoring_async:app"), _handler(ASYNC, kind, ports, store)),
        OURS_REMOTE: replace(service, environment=with_features | {"CREDIT_RISK_SCORING": _v2(ports)}),
    }
    return peers if kind.sleeps else peers | {OURS_LOCAL: service}


def _architecture(name: str, started: dict[str, Running], redis: psutil.Popen) -> Architecture:
    if name in (SYNC, ASYNC):
        pieces = {"handler": started[name], "model": started[f"{name} model"]}
        return Architecture(name, started[name].url, f"/api/v1/ml/{name}/predict", pieces, redis)
    pieces = {"service": started[name]} | ({"model server": started["model server"]} if name == OURS_REMOTE else {})
    return Architecture(name, started[name].url, "/classify", pieces, redis)


def _handler(name: str, kind: Kind, ports: Ports, store: str) -> dict[str, str]:
    model = f"http://127.0.0.1:{ports[f'{name} model']}/api/v1/ml/{name}/predict"
    return {"MODEL_URLS": ",".join([model] * kind.calls), "FEATURE_STORE_URL": f"{store}/{OF_HANDLERS}"}


def _v2(ports: Ports) -> str:
    return f"v2+http://127.0.0.1:{ports['model server']}/v2/models/{MODEL_NAME}"


def _uvicorn(app: str) -> tuple[str, ...]:
    quiet = ("--no-access-log", "--log-level", "warning")
    return str(BIN / "uvicorn"), app, "--workers", "2", "--port", "{port}", "--timeout-keep-alive", "75", *quiet


def _gunicorn(app: str, threads: int) -> tuple[str, ...]:
    workers = ("--workers", "2", "--threads", str(threads), "--worker-connections", str(MOST_CONNECTIONS))
    return str(BIN / "gunicorn"), app, *workers, "--keep-alive", "75", "--bind", "127.0.0.1:{port}"
