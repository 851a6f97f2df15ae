"""Transcripts in the docs: the commands in their blocks of `console`, and what they print."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
UUID = r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
# What is different each time: times, days, digests, places, and the versions of the model and the service.
UNREPEATABLE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?|\d{4}-\d\d-\d\d|\b[0-9a-f]{12,64}\b"
    r"|\d{8}T\d{6}\.\d{6}Z-w\d|\d{8}T\d{6}\.\d{6}Z|credit_risk_model:\w+|\d+\.\d+\.\d+\+[\w-]+"
)


def commands_of(document: str) -> list[str]:
    return [line[2:] for block in BLOCK.findall(document) for line in block.splitlines() if line.startswith("$ ")]


def outputs_of(document: str) -> list[str]:
    """What the document says that each command prints."""
    blocks = [re.split(r"^\$ .*\n", block, flags=re.MULTILINE)[1:] for block in BLOCK.findall(document)]
    return [output for block in blocks for output in block]


def alike(printed: str) -> str:
    """Make what is different each time alike. Ids become their numbers, so that it shows which are the same."""
    numbers: dict[str, int] = {}
    numbered = re.sub(UUID, lambda found: f"<id {numbers.setdefault(found[0], len(numbers))}>", printed)
    return UNREPEATABLE.sub("<...>", numbered)


def run(document: str, here: Callable[[str], str], environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Run the commands, and give what each prints. Ids that the document has are those that came in their places."""
    ids: dict[str, str] = {}
    for command, shown in zip(commands_of(document), outputs_of(document), strict=True):
        for theirs, ours in ids.items():
            command = command.replace(theirs, ours)
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", here(command)],
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        pairs = zip(re.findall(UUID, shown), re.findall(UUID, finished.stdout), strict=False)
        ids.update({theirs: ours for theirs, ours in pairs if theirs not in ids})
        printed = finished.stdout.rstrip("\n") + "\n"
        for theirs, ours in ids.items():
            printed = printed.replace(ours, theirs)
        yield printed


def rewritten(document: str, outputs: list[str]) -> str:
    """Put what was printed in the place of what the document says."""
    remaining = iter(outputs)

    def block(found: re.Match[str]) -> str:
        lines = [line for line in found[1].splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"{line}\n{next(remaining)}" for line in lines) + "```"

    return BLOCK.sub(block, document)
