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
        pid = int(self._inspect("{{.State.Pid}}"))
        super().__init__(pid)
        self._peak = _file_of_peak(pid)  # looked for at once: a process that has ended is in no group of its own

    def runs(self) -> bool:
        """Tell whether the container has not ended."""
        return self._inspect("{{.State.Running}}") == "true"

    def log(self) -> bytes:
        shown = subprocess.run([self._tool, "logs", self._name], capture_output=True, check=False)
        return shown.stdout + shown.stderr

    def peak_mb(self) -> float | None:
        try:
            return int(self._peak.read_text()) / 1e6
        except OSError:
            return None

    def _inspect(self, form: str) -> str:
        shown = subprocess.run(
            [self._tool, "inspect", "--format", form, self._name], capture_output=True, text=True, check=False
        )
        return shown.stdout.strip()


def _file_of_peak(pid: int) -> Path:
    """Find the file in which version 1 or 2 of control groups counts the most memory that a group has taken."""
    groups = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    for _, controllers, path in groups:
        if controllers == "memory":
            return CGROUPS / "memory" / path.lstrip("/") / "memory.max_usage_in_bytes"
    return CGROUPS / groups[-1][2].lstrip("/") / "memory.peak"
