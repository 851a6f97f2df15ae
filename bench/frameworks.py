"""The same model behind other servers and serving frameworks, each in a virtual environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from bench.environments import environment_of, mlserver_environment
from bench.experiment import Row, Say
from bench.load import bodies
from bench.paired import compare_all
from bench.peer import OURS, Peer
from credit_risk.contract.parsing import parse_application
from credit_risk.model.store import load_model
from credit_risk.serving.settings import PROJECT

CONNECTIONS = (1, 16, 64, 256)
QUIET = ("--no-access-log", "--log-level", "warning")
MODEL = "credit_risk_model"
MLSERVER = "MLServer: tensors, no validation"


def frameworks(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Compare this service with Granian, LitServe, MLServer and Ray Serve by the number of connections."""
    granian, litserve, ray = (environment_of(name, say) for name in ("granian", "litserve", "ray-serve"))
    command = (str(granian / "granian"), "--interface", "rsgi", "--workers", "2", "--host", "127.0.0.1")
    peers = {
        OURS.name: OURS,
        "Granian (RSGI)": Peer("Granian", (*command, "--port", "{port}", *QUIET, "bench.peers.granian_app:app")),
        "LitServe, batched": Peer("LitServe", (str(litserve / "python"), "-m", "bench.peers.litserve_app")),
        "Ray Serve, batched": Peer("Ray Serve", (str(ray / "python"), "-m", "bench.peers.ray_serve_app")),
        MLSERVER: _mlserver(folder, mlserver_environment(say)),
    }
    single = bodies(folder)
    sent = {name: _tensors(single) if name == MLSERVER else single for name in peers}
    return compare_all(peers, sent, connections=CONNECTIONS, slices=slices, seconds=seconds, say=say)


def _mlserver(folder: Path, commands: Path) -> Peer:
    """MLServer with its own XGBoost runtime, and with adaptive batches."""
    exported = folder / "mlserver-alone"
    command = [sys.executable, "-m", "deploy.model_server", "export", str(exported)]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    [model] = exported.rglob("model-settings.json")
    batches = {"max_batch_size": 64, "max_batch_time": 0.001}
    model.write_text(json.dumps(json.loads(model.read_text()) | batches))
    settings = json.loads((exported / "settings.json").read_text())
    # Its ports for gRPC and metrics must be free; that of HTTP is given when it is started.
    ports = {"grpc_port": 3256, "metrics_port": 3257, "host": "127.0.0.1"}
    (exported / "settings.json").write_text(json.dumps(settings | ports))
    start = ("sh", "-c", f"MLSERVER_HTTP_PORT={{port}} exec {commands / 'mlserver'} start .")
    address = f"/v2/models/{MODEL}"
    return Peer("MLServer", start, {"OMP_NUM_THREADS": "1"}, exported, f"{address}/ready", f"{address}/infer")


def _tensors(bodies: Path) -> Path:
    """Write encoded single applications as requests of the Open Inference Protocol, with 0 for what is missing."""
    encoder = load_model(f"{MODEL}:latest").encoder
    path = bodies.with_name(f"tensors-{bodies.name}")
    lines = []
    for line in bodies.read_bytes().splitlines():
        row = np.nan_to_num(encoder.matrix([encoder.encode(parse_application(line))])[0]).tolist()
        tensor = {"name": "row", "shape": [1, len(row)], "datatype": "FP32", "data": row}
        lines.append(json.dumps({"inputs": [tensor]}))
    path.write_text("\n".join(lines) + "\n")
    return path
