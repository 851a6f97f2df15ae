"""API keys, as settings name them."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from credit_risk.jobs.signature import Secret, WebhookSecret

MOST_BATCHES = 60  # at a time, that a key may be allowed

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


Right = Literal["decide", "review"]


class Key(BaseModel):
    """An API key, and what its caller may ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sha256: Annotated[Sha256, Field(description="The sha256 of its token, in hexadecimal.")]
    right: Annotated[
        Right, Field(description="To ask for decisions, or to put reviews and outcomes on record. No key has both.")
    ] = "decide"
    requests_per_second: Annotated[int | None, Field(ge=1, description="Most requests a second.")] = None
    batches: Annotated[int | None, Field(ge=1, le=MOST_BATCHES, description="Most batches at a time.")] = None
    webhook_secret: Annotated[
        WebhookSecret | None, Field(description="Secret that signs notifications to this caller.")
    ] = None


Name = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
# A key without limits may be given as its sha256 alone.
Keys = dict[Name, Annotated[Key, BeforeValidator(lambda key: {"sha256": key} if isinstance(key, str) else key)]]
KEYS_ARE = "a JSON object of the sha256 of tokens, in hexadecimal, by name, or of objects of sha256 and limits"


def name_of(keys: Keys, authorization: bytes | None) -> str | None:
    """Find the key whose token an Authorization header holds."""
    scheme, _, token = (authorization or b"").partition(b" ")
    digest = sha256(token.strip()).hexdigest()
    # Every key is compared, in the same time wherever they differ.
    found = [name for name, key in keys.items() if hmac.compare_digest(digest, key.sha256)]
    return found[0] if found and scheme.lower() == b"bearer" else None


def secret_of(keys: Keys, caller: str | None, otherwise: Secret | None) -> Secret | None:
    """Find the secret that signs notifications to a caller."""
    key = keys.get(caller) if caller is not None else None
    return key.webhook_secret if key is not None and key.webhook_secret is not None else otherwise
