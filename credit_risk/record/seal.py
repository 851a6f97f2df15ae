"""What seals a log: a key, and where its heads go besides."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from credit_risk.contract.seal import BeginLine, HeadLine, RemovedLine, signed_text
from credit_risk.record.chain import Tip, link
from credit_risk.record.signing import SigningKey

logger = logging.getLogger("bentoml.credit_risk")
FOLDER = "seal"  # within that of the records
REMOVED = "removed.ndjson"  # within the folder of the seal
STDOUT = "stdout"


@dataclass(frozen=True)
class Seal:
    """Makes the lines of a seal."""

    key: SigningKey
    second_place: str | None = None  # where heads go besides: a file, or `stdout`
    seconds: float = 10.0  # between the heads of a file that is written to

    def begin(self, after: Tip) -> bytes:
        """Begin the file after a tip."""
        return BeginLine(chain=after.chain, number=after.number + 1, key=self.key.fingerprint).line()

    def head(self, tip: Tip, lines: int) -> bytes:
        """Sign a tip, ahead of which the file has so many lines, its own included."""
        time = datetime.now(UTC)
        signature = self.key.sign(signed_text("head", tip.chain, tip.number, lines, time, tip.digest))
        head = HeadLine(
            chain=tip.chain,
            number=tip.number,
            lines=lines,
            time=time,
            key=self.key.fingerprint,
            signature=signature,
        )
        return head.line()

    def removed(self, tip: Tip, file: str) -> bytes:
        """Note that a file is removed whose last line is a tip."""
        time = datetime.now(UTC)
        signature = self.key.sign(signed_text("removed", tip.chain, tip.number, 0, time, tip.digest))
        note = RemovedLine(
            chain=tip.chain,
            number=tip.number,
            key=self.key.fingerprint,
            file=file,
            last=tip.digest,
            time=time,
            signature=signature,
        )
        return note.line()

    def sealed(self, lines: Sequence[bytes], after: Tip) -> list[bytes]:
        """Make a whole file of lines, which begins after a tip and ends with a head."""
        linked, digest = link([self.begin(after), *lines], after.digest)
        head, _ = link([self.head(Tip(after.chain, after.number + 1, digest), len(linked))], digest)
        return linked + head

    def hand_on(self, head: bytes) -> None:
        """Write a head, linked as it stands in the log, to the second place. If that fails, the log tells."""
        if self.second_place is None:
            return
        try:
            if self.second_place == STDOUT:
                os.write(1, head)
            else:
                append_line(Path(self.second_place), head)
        except OSError as error:
            logger.error("Heads of the decision log can't be written to their second place: %s", error.strerror)


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file that several processes write to. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
