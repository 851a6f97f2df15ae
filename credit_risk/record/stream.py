"""Records written to a stream, such as the standard output of a container."""

from __future__ import annotations

from collections.abc import Sequence

from credit_risk.contract.errors import NOT_RECORDED, UnavailableError
from credit_risk.record.files import write_all

ATOMIC = 4096  # bytes that a pipe takes from several writers without mixing them (POSIX's PIPE_BUF on Linux)
STDOUT = 1


class RecordStream:
    """Writes a few whole lines at once, so that the lines of several workers don't mix."""

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._descriptor = descriptor
        self._is_healthy = True

    async def append(self, lines: Sequence[bytes]) -> None:
        try:
            for piece in _pieces(lines):
                write_all(self._descriptor, piece)
        except OSError as error:
            self._is_healthy = False
            raise UnavailableError(NOT_RECORDED) from error
        self._is_healthy = True

    def is_healthy(self) -> bool:
        return self._is_healthy

    def close(self) -> None:
        pass  # the stream is the process's, not ours


def _pieces(lines: Sequence[bytes]) -> list[bytes]:
    """Join lines up to ATOMIC bytes. A longer line is a piece of its own."""
    pieces = [b""]
    for line in lines:
        if pieces[-1] and len(pieces[-1]) + len(line) > ATOMIC:
            pieces.append(line)
        else:
            pieces[-1] += line
    return pieces
