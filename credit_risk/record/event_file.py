"""The files of a log that events are written to. All processes write to the same one, each in its turn.

Each write ends with a signed head and is synced: events come from people, seldom and one at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from credit_risk.contract.seal import HeadLine
from credit_risk.record.chain import begin_of, last_line, link, tip_after, tip_of
from credit_risk.record.disk import sync_folder, write_all
from credit_risk.record.keys import KeyFile, remove_keys
from credit_risk.record.retention import EVENTS
from credit_risk.record.seal import FOLDER, Seal

LOCK = ".events.lock"
NAME = "%Y%m%dT%H%M%S.%fZ"
POLL_SECONDS = 0.02


class EventFiles:
    """The files of events in the folder of a log. Methods raise OSError."""

    def __init__(self, folder: Path, seal: Seal | None, rotate_bytes: int) -> None:
        self._folder = folder
        self._seal = seal
        self._rotate_bytes = rotate_bytes

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Have the files alone. Raises TimeoutError if somebody else has them for so long."""
        descriptor = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            given_up = time.monotonic() + seconds
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > given_up:
                        raise TimeoutError from None
                    time.sleep(POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def write(self, lines: Sequence[bytes], keys: bytes = b"") -> None:
        """Write all of the lines or none of them, in one's turn, and before them the keys that they are encrypted with.

        They are signed and durable afterwards.
        """
        path = max(self._folder.glob(EVENTS), default=None)
        follows = None if path is None else self._going_on(path, lines)
        if path is None or follows is None:
            path, follows = self._begin_after(path, lines)
        if keys:
            _add_keys(path, keys)
        _append(path, b"".join(follows))
        if self._seal is not None:
            self._seal.hand_on(follows[-1])

    def _going_on(self, path: Path, lines: Sequence[bytes]) -> list[bytes] | None:
        """Give what is to be appended to the last file, unless another one must be begun."""
        try:
            size, last = path.stat().st_size, last_line(path)
        except FileNotFoundError:  # an old one, which another process has removed
            return None
        today = datetime.now(UTC).strftime(f"events-{NAME[:6]}")
        if not path.name.startswith(today) or size > self._rotate_bytes or not last.endswith(b"\n"):
            return None
        begin = begin_of(path)
        if self._seal is None:
            return list(lines) if begin is None else None
        try:
            head = HeadLine.model_validate_json(last)
        except ValidationError:
            return None
        tip = tip_of(path)
        if begin is None or tip is None or begin.key != self._seal.key.fingerprint:
            return None
        linked, digest = link(lines, tip.digest)
        signed = self._seal.head(tip._replace(digest=digest), head.lines + 1 + len(linked))
        return [*linked, *link([signed], digest)[0]]

    def _begin_after(self, last: Path | None, lines: Sequence[bytes]) -> tuple[Path, list[bytes]]:
        """Name the next file, and give what is to be its content."""
        now = datetime.now(UTC)
        if last is not None:  # a clock may have been put back
            with contextlib.suppress(ValueError):
                begun = datetime.strptime(last.name.split("-")[1].removesuffix(".ndjson"), NAME).replace(tzinfo=UTC)
                now = max(now, begun + timedelta(microseconds=1))
        stem = now.strftime(f"events-{NAME}")
        if self._seal is None:
            return self._folder / f"{stem}.ndjson", list(lines)
        (self._folder / FOLDER).mkdir(exist_ok=True)
        self._seal.key.publish(self._folder / FOLDER)
        return self._folder / f"{stem}-sealed.ndjson", self._seal.sealed(lines, tip_after(self._folder.glob(EVENTS)))


def _add_keys(path: Path, keys: bytes) -> None:
    file = KeyFile.open_last(path)
    try:
        file.add(keys)
        file.sync()
    except OSError:
        if not path.exists():
            remove_keys(path)
        raise
    finally:
        file.close()


def _append(path: Path, content: bytes) -> None:
    """Append all of it, durably, or nothing."""
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
            if is_new:
                sync_folder(path.parent)
        except OSError:
            os.ftruncate(descriptor, size)
            if is_new:
                path.unlink()
                remove_keys(path)
            raise
    finally:
        os.close(descriptor)
