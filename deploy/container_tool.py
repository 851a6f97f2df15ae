"""Find Docker or Podman on this machine."""

from __future__ import annotations

import shutil
import subprocess

from deploy.errors import DeployError

TOOLS = ("docker", "podman")


def find_container_tool(wanted: str | None = None) -> str:
    """Return `docker` or `podman`: the wanted one, else the first that works.

    Raises DeployError if none works. Being installed is not enough, as Docker's client may lack a running engine.
    """
    for tool in (wanted,) if wanted else TOOLS:
        if shutil.which(tool) and subprocess.run([tool, "info"], capture_output=True, check=False).returncode == 0:
            return tool
    failure = f"{wanted} does not work" if wanted else "neither docker nor podman works"
    raise DeployError(f"{failure} on this machine; install Docker or Podman and start its engine")
