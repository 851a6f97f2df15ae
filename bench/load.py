"""Load by wrk: many connections, each of which posts the next application once the last one is answered."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.peer import URL
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.parsing import parse_application
from credit_risk.contract.policy import load_policy
from credit_risk.deciding.columns import decide_columns
from credit_risk.model import LATEST
from credit_risk.model.store import load_model
from credit_risk.model.table import columns_of
from credit_risk.serving.settings import PROJECT
from credit_risk.training.data import load_dataset

SCRIPT = Path(__file__).with_name("mixed.lua")
APPLICATIONS = 400  # different ones, because real traffic is a mix


@dataclass(frozen=True)
class Load:
    """What wrk measured."""

    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    non_2xx: int
    failed: int  # connections that broke or timed out


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; on Debian and Ubuntu `apt-get install wrk`, on macOS `brew install wrk`")


def source() -> Path:
    """Give the file of the applications: the public one where it was downloaded, or the bundled one."""
    public = PROJECT / "data" / "CreditScoring.csv"
    return public if public.exists() else PROJECT / "data" / "applications.csv"


def bodies(folder: Path, *, batch: int = 0) -> Path:
    """Write request bodies, one on each line: single applications, or arrays of `batch` of them."""
    lines = [application.model_dump_json() for application in load_dataset(source()).applications]
    if batch:
        endless = lines * (20 * batch // len(lines) + 1)
        lines = [f"[{','.join(endless[start : start + batch])}]" for start in range(0, 20 * batch, batch)]
    path = folder / f"bodies-{batch}.ndjson"
    path.write_text("\n".join(lines[:APPLICATIONS]) + "\n")
    return path


def describe(folder: Path) -> dict[str, str | float]:
    """Say which applications are sent, and which share of them is not approved and gets reasons."""
    model, policy = load_model(LATEST), load_policy(PROJECT / "policy.yaml")
    sent = [parse_application(line) for line in bodies(folder).read_bytes().splitlines()]
    decided = decide_columns(columns_of(sent), model, policy, reasons=False)
    approved = decided.status == STATUSES.index("APPROVED")
    return {"applications": source().name, "not_approved": round(1 - float(approved.mean()), 4)}


def load(path: str, bodies: Path, *, connections: int, seconds: float, url: str = URL) -> Load:
    """Load one route with so many connections, each of which waits for its answer."""
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds:.0f}s"]
    command += ["--timeout", "10s", "--script", str(SCRIPT), url, "--", path, str(bodies)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result = json.loads(
        next(line for line in output.splitlines() if line.startswith("RESULT ")).removeprefix("RESULT ")
    )
    rate = result["requests"] / result["seconds"]
    return Load(result["requests"], rate, result["p50_ms"], result["p99_ms"], result["non_2xx"], result["failed"])
