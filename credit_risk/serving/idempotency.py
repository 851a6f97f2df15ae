"""Idempotency keys: who asks twice with the same key gets what the first request has made.

As the IETF's draft-ietf-httpapi-idempotency-key-header-07 has it: 409 while the first request is under way, and 422 for
another request with the same key.
"""

from __future__ import annotations

import json
from hashlib import sha256

from credit_risk.contract.conflicts import ConflictError, KeyReusedError
from credit_risk.contract.errors import InvalidRequestError
from credit_risk.jobs.store import JobStore
from credit_risk.serving.job_store import ask

KEPT_SECONDS = 24 * 3600.0
UNDER_WAY_SECONDS = 3600.0  # after which a request is taken for lost
_UNDER_WAY = ""
CONFLICT = "A request with this Idempotency-Key is under way; wait for its answer"
KEY_IS = "Send an Idempotency-Key of 1 to 255 characters"


def check_key(key: str) -> None:
    """Raise InvalidRequestError if a text can't be a key."""
    if not 0 < len(key) <= 255:
        raise InvalidRequestError(KEY_IS)


def name_of(caller: str | None, key: str) -> str:
    """Name a caller's key in the store, where a key is its caller's own."""
    return sha256(json.dumps([caller, key]).encode()).hexdigest()


class KeyUse:
    """One use of a key, to make a job."""

    def __init__(self, store: JobStore, name: str, made: str | None, fingerprint: str | None) -> None:
        self._store, self._name = store, name
        self._made, self._fingerprint = made, fingerprint  # by the first request

    @classmethod
    async def begin(cls, store: JobStore, caller: str | None, key: str) -> KeyUse:
        """Keep a key for the request under way. Raises ConflictError if another one with it is under way."""
        name = name_of(caller, key)
        found = await ask(store.claim_key, name, _UNDER_WAY, UNDER_WAY_SECONDS)
        if found == _UNDER_WAY:
            raise ConflictError(CONFLICT, 1)
        made, fingerprint, *_ = (None, None) if found is None else json.loads(found.partition("\n")[0])
        return cls(store, name, made, fingerprint)

    def made(self, fingerprint: str) -> str | None:
        """Tell what the first request has made, if this is not the first. Raises KeyReusedError if it was another."""
        if self._made is not None and fingerprint != self._fingerprint:
            raise KeyReusedError
        return self._made

    async def settle(self, made: str, fingerprint: str) -> None:
        """Remember what this request has made."""
        await ask(self._store.set_key, self._name, json.dumps([made, fingerprint]), KEPT_SECONDS)

    async def drop(self) -> None:
        """Let the key be used again, because this request has made nothing."""
        if self._made is None:
            await ask(self._store.drop_key, self._name)
