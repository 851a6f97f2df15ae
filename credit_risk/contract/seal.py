"""The seal of the decision log: lines that begin, sign and excuse a chain of lines.

Each line of a sealed log ends with `previous`, the sha256 of the line before it without its newline. A file begins with
a line that names its chain and holds the digest of the last line of the file before it. Heads sign what stands so far.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from credit_risk.contract.record import SCHEMA, Sha256

GENESIS = "0" * 64  # before the first line of a chain
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", description="Of the public key.")]
Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519 (RFC 8032), in hexadecimal.")]


class SealLine(BaseModel):
    """What all lines of the seal have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Annotated[Literal[2], Field(alias="schema")] = SCHEMA
    seal: str
    chain: Annotated[str, Field(description="Name of the chain, a UUID.")]
    number: Annotated[int, Field(ge=1, description="Position of the file in its chain.")]
    key: Fingerprint

    def line(self) -> bytes:
        """Render the line, without its link to the line before."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"


class BeginLine(SealLine):
    """The first line of a file."""

    seal: Literal["begin"] = "begin"
    previous: Annotated[Sha256 | None, Field(description="Digest of the last line of the file before.")] = None


class HeadLine(SealLine):
    """A signature on all lines of the file so far, and through their links on all before them."""

    seal: Literal["head"] = "head"
    lines: Annotated[int, Field(ge=1, description="Lines of the file ahead of this one.")]
    time: datetime
    signature: Annotated[Signature, Field(description="Of `signed`.")]
    previous: Annotated[Sha256 | None, Field(description="Digest of the line before, which is signed.")] = None

    def signed(self, previous: str) -> bytes:
        """Give the text that is signed, if `previous` is the digest of the line before."""
        return signed_text("head", self.chain, self.number, self.lines, self.time, previous)


class RemovedLine(SealLine):
    """A note that a file of the chain was removed, as retention wants it. It stands apart from the log."""

    seal: Literal["removed"] = "removed"
    file: str
    last: Annotated[Sha256, Field(description="Digest of the last line of the file.")]
    time: datetime
    signature: Annotated[Signature, Field(description="Of `signed`.")]

    def signed(self) -> bytes:
        """Give the text that is signed."""
        return signed_text("removed", self.chain, self.number, 0, self.time, self.last)


def signed_text(seal: str, chain: str, number: int, lines: int, time: datetime, digest: str) -> bytes:
    """Put together what a signature of the seal is of."""
    return f"credit-risk {seal}\n{chain}\n{number}\n{lines}\n{time.isoformat()}\n{digest}".encode()
