"""Compare the answers and records of two running versions, byte by byte, but for what must differ.

    python -m tests.compare http://localhost:3000 http://localhost:3001 --logs DECISIONS DECISIONS

Both must serve the same model and policy. Use it before a release, to see that answers did not change unintentionally.
"""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import click

from credit_risk.training.data import load_dataset
from tests.corpus import BAD, GOOD
from tests.records import decision_lines

DATA = Path(__file__).parents[1] / "data" / "applications.csv"
DIFFERS_IN_ANSWERS = re.compile(rb'"decision_id":"[^"]*"')
DIFFERS_IN_RECORDS = re.compile(rb',"(decision_id|time|service|previous)":"[^"]*"')


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--logs", nargs=2, type=click.Path(path_type=Path), help="Folders of the two decision logs, both empty.")
@click.option("--records", default=1000, show_default=True, help="Applications to post for the records.")
def main(before: str, after: str, logs: tuple[Path, Path] | None, records: int) -> None:
    """Post the same bodies to the servers BEFORE and AFTER, and list what differs. The exit status is 1 if any does."""
    bodies = GOOD | {name: bad.body for name, bad in BAD.items()}
    applications = load_dataset(DATA).applications[:records]
    bodies |= {f"application {n}": a.model_dump_json().encode() for n, a in enumerate(applications)}
    batch = b"[" + b",".join(a.model_dump_json().encode() for a in applications) + b"]"
    different = [
        name for name, body in bodies.items() if post(before, "/classify", body) != post(after, "/classify", body)
    ]
    if post(before, "/classify_batch", batch) != post(after, "/classify_batch", batch):
        different.append("batch")
    click.echo(
        f"{len(bodies) + 1:,} bodies posted, {len(different)} answered differently: {', '.join(different) or 'none'}"
    )
    if logs:
        old, new = (Counter(map(comparable, lines_of(folder))) for folder in logs)
        differing = ((old - new) + (new - old)).total()
        click.echo(f"{old.total():,} and {new.total():,} records, {differing} without a counterpart")
        different += ["records"] * differing
    sys.exit(bool(different))


def post(url: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Give the status and the body of an answer, without decision ids."""
    headers = {"Content-Type": "application/json", "X-Request-ID": "compare"}
    request = urllib.request.Request(url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, DIFFERS_IN_ANSWERS.sub(b"", answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def lines_of(folder: Path) -> list[bytes]:
    return decision_lines(folder)


def comparable(record: bytes) -> bytes:
    return DIFFERS_IN_RECORDS.sub(b"", record)


if __name__ == "__main__":
    main()
