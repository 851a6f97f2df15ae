"""Signatures as https://www.standardwebhooks.com describes them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

PREFIX = "whsec_"
LEAST, MOST = 24, 64  # bytes
SECRET_IS = f"{PREFIX} and the base64 of {LEAST} to {MOST} random bytes"


@dataclass(frozen=True)
class Secret:
    """What the service and a receiver share. It does not show itself."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: Any) -> Secret:
        """Read a secret as a setting holds it. Raises ValueError with a sentence that does not quote it."""
        try:
            key = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
        except (AttributeError, ValueError, binascii.Error):
            key = b""
        if not LEAST <= len(key) <= MOST:
            raise ValueError(f"The secret of a webhook must be {SECRET_IS}")
        return cls(key)

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Make the value of `webhook-signature`."""
        content = f"{message_id}.{timestamp}.".encode() + body
        digest = hmac.new(self.key, content, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"


def _parsed(text: Any) -> Any:
    return text if isinstance(text, Secret) else Secret.parse(text)


def _text(secret: Secret) -> str:
    return PREFIX + base64.b64encode(secret.key).decode()


WebhookSecret = Annotated[Secret, BeforeValidator(_parsed), PlainSerializer(_text)]  # as a field of a model
