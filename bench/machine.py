"""What a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import platform
from datetime import UTC, datetime
from pathlib import Path

import psutil


def describe() -> dict[str, str]:
    """The machine, the versions and the day."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    versions = ("bentoml", "fastapi", "flask", "gunicorn", "numpy", "pydantic", "uvicorn", "uvloop", "xgboost")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": f"{psutil.cpu_count()} cores of {model}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in versions),
    }
