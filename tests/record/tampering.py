"""Logs that are tampered with, all of which must be found, and logs that suffer and are honest, none of which may be.

    python -m tests.record.tampering --logs 1000

prints how many of each were found. The seed is printed, too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import click

from credit_risk.contract.errors import UnavailableError
from tests.record.sealed_logs import TAMPERING, a_record, found_in, sealed_files, tamper, write

WRITERS = 3  # one after the other, each of which is killed
MOST_SECONDS = 0.03  # until one is killed


def tampered_log(folder: Path, kind: str, chance: random.Random) -> None:
    """Write a log of some files, and do something to a line of one of them that a head signs."""
    write(folder, [chance.randint(1, 6) for _ in range(chance.randint(2, 8))], rotate_bytes=chance.choice([900, 2500]))
    tamper(folder, kind, chance)


def suffering_log(folder: Path, chance: random.Random) -> None:
    """Write a log with processes that are killed in the middle of it, on a disk that is full now and then."""
    for _ in range(WRITERS):
        seed, rotate_bytes = chance.random(), chance.choice([900, 2500, 10_000])
        child = os.fork()
        if not child:
            _write_for_ever(folder, random.Random(seed), rotate_bytes)
        time.sleep(chance.random() * MOST_SECONDS)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    write(folder, [chance.randint(1, 3)])


def _write_for_ever(folder: Path, chance: random.Random, rotate_bytes: int) -> None:
    real = os.write

    def on_a_full_disk(descriptor: int, data: bytes) -> int:
        if chance.random() < 0.1:
            real(descriptor, bytes(data)[: chance.randrange(len(data))])
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    async def each() -> None:
        log = sealed_files(folder, rotate_bytes=rotate_bytes)
        os.write = on_a_full_disk  # type: ignore[assignment] # which takes bytes only
        while True:
            try:
                await log.append([a_record(chance.randrange(1000)) for _ in range(chance.randint(1, 5))])
            except UnavailableError:
                continue
            if chance.random() < 0.2:
                await log._sign()

    try:
        asyncio.run(each())
    finally:
        os._exit(1)


@click.command()
@click.option("--logs", default=1000, help="Logs of each sort.")
@click.option("--seed", default=1)
def main(logs: int, seed: int) -> None:
    """Tamper with logs, and let others suffer."""
    logging.disable()  # of full disks, thousands of lines
    chance = random.Random(seed)
    missed: Counter[str] = Counter()
    alarms: list[str] = []
    lines = torn = 0
    with tempfile.TemporaryDirectory() as place:
        for number in range(logs):
            kind = list(TAMPERING)[number % len(TAMPERING)]
            tampered_log(Path(place, f"tampered-{number}"), kind, chance)
            missed[kind] += not found_in(Path(place, f"tampered-{number}")).faults
        for number in range(logs):
            suffering_log(Path(place, f"suffering-{number}"), chance)
            verdict = found_in(Path(place, f"suffering-{number}"))
            alarms += verdict.faults
            lines += sum(part.lines for part in verdict.parts)
            torn += sum(part.is_torn for part in verdict.parts)
    click.echo(f"Seed {seed}: {logs} logs tampered with, {missed.total()} of them not found {dict(missed)}")
    click.echo(f"{logs} logs that suffered, of {lines:,} lines and {torn} torn ones: {len(alarms)} false alarms")
    for alarm in alarms[:10]:
        click.echo(alarm)


if __name__ == "__main__":
    main()
