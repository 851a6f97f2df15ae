"""Docker or Podman, whichever this machine has."""

from __future__ import annotations

import shutil
import subprocess

from deploy.errors import DeployError

TOOLS = ("docker", "podman")


def find_container_tool(wanted: str | None = None) -> str:
    """`docker` or `podman`: the wanted one, else the first that can work here.

    Raises DeployError where none can. Docker's client may be installed without its engine.
    """
    for tool in (wanted,) if wanted else TOOLS:
        if shutil.which(tool) and subprocess.run([tool, "info"], capture_output=True, check=False).returncode == 0:
            return tool
    raise DeployError(
        f"no {wanted or 'docker or podman'} that works: install Docker or Podman, and see that its engine runs"
    )
