"""Ids of jobs and of their decisions."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

from uuid_utils import uuid7


def new_id() -> str:
    """Make the id of a job: a UUID of version 7, which sorts by time."""
    return str(uuid7())


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of a job. Only such a text may become the name of a folder."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def decision_id(job_id: str, row: int) -> str:
    """Derive the id of a decision: a UUID of version 7 (RFC 9562, 5.7) with the time of the job's.

    A row that is decided twice, because a worker died, has the same id both times.
    """
    random = sha256(f"{job_id}/{row}".encode()).digest()
    octets = bytes(
        (*UUID(job_id).bytes[:6], 0x70 | random[0] & 0x0F, random[1], 0x80 | random[2] & 0x3F, *random[3:10])
    )
    return str(UUID(bytes=octets))
