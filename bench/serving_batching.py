"""Batching at the model server, by size and waiting time, beside batching in this service."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.experiment import Row, Say, overrides
from bench.load import bodies
from bench.model_server import MLSERVER, MODEL, PORT
from bench.paired import compare_all
from bench.peer import OURS, REMOTE, Peer, running
from credit_risk.serving.settings import PROJECT

SIZES = (4, 16, 64)  # most rows of a batch
WAITS = (1, 5, 20)  # milliseconds that MLServer waits for a batch to fill
CONNECTIONS = 64
OFF = 1  # the size of a batch without batching


def serving_batching(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Compare FastAPI that asks an MLServer that batches with this service, which batches before it asks."""
    if not MLSERVER.exists():
        sys.exit("MLServer is not installed: run .ci/model-server")
    url = f"http://127.0.0.1:{PORT}/v2/models/"
    peers: dict[str, Peer] = {}
    settings: dict[str, Row] = {}
    for size in (100, *SIZES, OFF):
        name = f"this service, size {size}" if size > OFF else "this service, off"
        batching = {"max_batch_size": size} if size > OFF else {"enabled": False}
        environment = overrides(batching=batching) | {"CREDIT_RISK_SCORING": f"v2+{url}{MODEL}"}
        peers[name] = replace(OURS, name=name, environment=environment)
        settings[name] = {"batches": "this service", "size": size, "wait_ms": 0}
    for size, wait in [(OFF, 0), *((size, wait) for size in SIZES for wait in WAITS)]:
        name = f"MLServer, size {size}, {wait} ms" if size > OFF else "MLServer, off"
        peers[name] = replace(REMOTE, name=name, environment={"MODEL_SERVER": url + _model(size, wait)})
        settings[name] = {"batches": "MLServer", "size": size, "wait_ms": wait}
    with _mlserver(folder / "mlserver"):
        rows = compare_all(peers, bodies(folder), connections=(CONNECTIONS,), slices=slices, seconds=seconds, say=say)
    return [row | settings[row["name"]] for row in rows]


def _model(size: int, wait: int) -> str:
    return f"{MODEL}-{size}-{wait}" if size > OFF else MODEL


@contextmanager
def _mlserver(folder: Path) -> Iterator[None]:
    """Run an MLServer with the model of the store under a name for each setting of its batching."""
    command = [sys.executable, "-m", "deploy.model_server", "export", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    settings = json.loads((folder / "settings.json").read_text())
    ports = {"http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2}
    (folder / "settings.json").write_text(json.dumps(settings | ports | {"host": "127.0.0.1"}))
    for size in SIZES:
        for wait in WAITS:
            copy = shutil.copytree(folder / MODEL, folder / _model(size, wait))
            described = json.loads((copy / "model-settings.json").read_text())
            described |= {"name": copy.name, "max_batch_size": size, "max_batch_time": wait / 1000}
            (copy / "model-settings.json").write_text(json.dumps(described))
    server = Peer(
        "MLServer", (str(MLSERVER), "start", "."), {"OMP_NUM_THREADS": "1"}, folder, f"/v2/models/{MODEL}/ready"
    )
    with running(server, PORT):
        yield
