"""Run the command line: `python -m credit_risk`."""

from credit_risk.commands.cli import cli

cli(prog_name="python -m credit_risk")
