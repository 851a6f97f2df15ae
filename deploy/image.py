"""`python -m deploy.image`: build the container image of a bento."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bentoml
import click
from bentoml.exceptions import BentoMLException

from deploy.container_tool import TOOLS, find_container_tool
from deploy.errors import DeployError

BENTOML = str(Path(sys.executable).with_name("bentoml"))


@click.command()
@click.argument("bento", default="credit_risk_classifier:latest")
@click.option("--tool", type=click.Choice(TOOLS), help="Tool to build with. By default docker if it runs, else podman.")
@click.option("--platform", default="linux/amd64", show_default=True, help="Platform that the image is for.")
@click.option("--network", help="Network of the build. Try `host` if the default one can't reach the internet.")
def image(bento: str, tool: str | None, platform: str, network: str | None) -> None:
    """Build the container image of BENTO, and tag it with the bento's version and with `latest`."""
    tool = find_container_tool(tool)
    try:
        tag = str(bentoml.bentos.get(bento).tag)
    except (BentoMLException, ValueError):
        raise DeployError(f"there is no bento {bento}; see `bentoml list`, or build one with `make bento`") from None
    options = [f"platform={platform}"]
    if network:
        options.append(f"network={network}")
    if tool == "podman":
        options.append("format=docker")  # the OCI format would drop the health check
    command = [BENTOML, "containerize", tag, "--backend", tool, "-t", tag, "-t", f"{tag.partition(':')[0]}:latest"]
    for option in options:
        command += ["--opt", option]
    if subprocess.run(command, check=False).returncode:
        raise DeployError(f"{tool} could not build the image; see its output above")
    inspect = [tool, "image", "inspect", "--format", "{{.Size}}", tag]
    size = int(subprocess.run(inspect, capture_output=True, text=True, check=True).stdout)
    click.echo(f"Built {tag} ({size / 1e6:.0f} MB). To run it:\n\n    {tool} run -it --rm -p 3000:3000 {tag}")


if __name__ == "__main__":
    image()
