"""`python -m credit_risk`."""

from credit_risk.cli import cli

cli(prog_name="python -m credit_risk")
