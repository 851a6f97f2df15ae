"""What can be seen of a service in a container on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

from attack.insides import Family

CGROUPS = Path("/sys/fs/cgroup")


class Container(Family):
    """Its processes, its log, and the memory that its control group has counted."""

    def __init__(self, tool: str, name: str) -> None:
        self._tool = tool
        self._name = name
        self._pid = int(self._inspect("{{.State.Pid}}"))
        super().__init__(self._pid)

    def runs(self) -> bool:
        """Tell whether the container has not ended."""
        return self._inspect("{{.State.Running}}") == "true"

    def log(self) -> bytes:
        shown = subprocess.run([self._tool, "logs", self._name], capture_output=True, check=False)
        return shown.stdout + shown.stderr

    def peak_mb(self) -> float | None:
        try:
            groups = Path(f"/proc/{self._pid}/cgroup").read_text().splitlines()
            for _, controllers, path in (line.split(":", 2) for line in groups):
                if controllers == "memory":  # version 1
                    return _megabytes(CGROUPS / "memory" / path.lstrip("/") / "memory.max_usage_in_bytes")
            return _megabytes(CGROUPS / groups[0].split(":", 2)[2].lstrip("/") / "memory.peak")
        except (OSError, IndexError):
            return None

    def _inspect(self, form: str) -> str:
        shown = subprocess.run(
            [self._tool, "inspect", "--format", form, self._name], capture_output=True, text=True, check=False
        )
        return shown.stdout.strip()


def _megabytes(file: Path) -> float:
    return int(file.read_text()) / 1e6
