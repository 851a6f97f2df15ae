"""A model server behind the service: a request for each batch, beside FastAPI that sends one for each application."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.experiment import Row, Say
from bench.load import bodies
from bench.paired import compare_all
from bench.peer import OURS, REMOTE, Peer, running
from bench.throughput import with_environment
from credit_risk.serving.settings import PROJECT

PORT = 3155  # of MLServer; the next two are its own for gRPC and metrics
MLSERVER = PROJECT / ".venv-mlserver" / "bin" / "mlserver"
MODEL = "credit_risk_model"
URL = f"http://127.0.0.1:{PORT}/v2/models/{MODEL}"
BEHIND = "this service, MLServer behind it"


def model_server(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Compare this service with MLServer behind it with FastAPI that asks MLServer, and with itself in process."""
    if not MLSERVER.exists():
        sys.exit("MLServer is not installed: run .ci/model-server")
    exported = folder / "mlserver"
    command = [sys.executable, "-m", "deploy.model_server", "export", str(exported)]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    settings = json.loads((exported / "settings.json").read_text())
    ports = {"http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2}
    (exported / "settings.json").write_text(json.dumps(settings | ports | {"host": "127.0.0.1"}))
    path = f"/v2/models/{MODEL}/ready"
    server = Peer("MLServer", (str(MLSERVER), "start", "."), {"OMP_NUM_THREADS": "1"}, exported, path)
    peers = {
        BEHIND: with_environment(OURS, BEHIND, {"CREDIT_RISK_SCORING": f"v2+{URL}"}),
        REMOTE.name: with_environment(REMOTE, REMOTE.name, {"MODEL_SERVER": URL}),
        OURS.name: OURS,
    }
    with running(server, PORT):
        return compare_all(peers, bodies(folder), connections=(64,), slices=slices, seconds=seconds, say=say)
