"""How far a training is, told on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from time import perf_counter

import click
from rich.console import Console
from rich.progress import Progress

MOST_LINES = 25


@contextmanager
def progress_of(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Give what to call after each of `total` steps. It draws a bar, or writes lines into a pipe."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(console=console) as progress:
            task = progress.add_task(title, total=total)
            yield lambda: progress.advance(task)
        return
    begun, steps = perf_counter(), count(1)

    def advance() -> None:
        step = next(steps)
        if step % max(1, total // MOST_LINES) == 0 or step == total:
            click.echo(f"{title}: {step} of {total}, {perf_counter() - begun:.0f} s", err=True)

    yield advance
