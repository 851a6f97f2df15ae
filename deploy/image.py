"""`python -m deploy.image`: make the container image of a bento."""

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
@click.option("--tool", type=click.Choice(TOOLS), help="What builds it; by default docker where it runs, else podman.")
@click.option("--platform", default="linux/amd64", show_default=True, help="What it is to run on.")
@click.option("--network", help="The network that the build uses, such as `host` where the default one has no way out.")
def image(bento: str, tool: str | None, platform: str, network: str | None) -> None:
    """Make the image of BENTO, tagged as the bento and as `latest`."""
    tool = find_container_tool(tool)
    try:
        tag = str(bentoml.bentos.get(bento).tag)
    except (BentoMLException, ValueError):
        raise DeployError(f"there is no bento {bento}; `bentoml list` shows them, `make bento` builds one") from None
    options = [f"platform={platform}"]
    if network:
        options.append(f"network={network}")
    if tool == "podman":
        options.append("format=docker")  # the OCI format has no health check
    command = [BENTOML, "containerize", tag, "--backend", tool, "-t", tag, "-t", f"{tag.partition(':')[0]}:latest"]
    for option in options:
        command += ["--opt", option]
    if subprocess.run(command, check=False).returncode:
        raise DeployError(f"{tool} could not build the image; what it said stands above")
    inspect = [tool, "image", "inspect", "--format", "{{.Size}}", tag]
    size = int(subprocess.run(inspect, capture_output=True, text=True, check=True).stdout)
    click.echo(f"{tag}: {size / 1e6:.0f} MB. Run it:\n\n    {tool} run -it --rm -p 3000:3000 {tag}")


if __name__ == "__main__":
    image()
