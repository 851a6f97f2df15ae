"""`python -m deploy.ecs`."""

from deploy.ecs.cli import cli

cli(prog_name="python -m deploy.ecs")
