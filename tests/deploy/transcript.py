"""`python -m tests.deploy.transcript`: print what every command prints and changes, against moto."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from tests.deploy.cloud import Cloud, cloud_in
from tests.deploy.inventory import inventory


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="credit-risk-transcript-") as folder, cloud_in(Path(folder)) as cloud:
        first = ("deploy", "credit_risk_classifier:v1", "--plain-http", "--api-keys-file", str(cloud.keys_file))
        before = inventory(cloud)
        for arguments in (
            (*first, "--dry-run"),
            (*first, "--alarm-email", "risk@example.com"),
            ("status",),
            ("deploy", "credit_risk_classifier:v2"),
            ("rollback",),
            ("status",),
            ("destroy", "--dry-run"),
            ("destroy", "--yes"),
            ("status",),
        ):
            before = show(cloud, arguments, before)


def show(cloud: Cloud, arguments: tuple[str, ...], before: dict[str, list[str]]) -> dict[str, list[str]]:
    """Run a command, and print it with its output and its changes. Returns what exists afterwards."""
    result = cloud.run(*arguments)
    click.echo(f"$ python -m deploy.ecs {' '.join(arguments)}".replace(f"{cloud.folder}/", ""))
    click.echo((result.stdout + result.stderr).replace(f"{cloud.folder}/", "").rstrip())
    after = inventory(cloud)
    for kind, names in after.items():
        for sign, changed in (("-", set(before[kind]) - set(names)), ("+", set(names) - set(before[kind]))):
            for name in sorted(changed):
                click.echo(f"  {sign} {kind}: {name}")
    click.echo(f"  exit code {result.returncode}{'; nothing changed' if after == before else ''}\n")
    return after


if __name__ == "__main__":
    main()
