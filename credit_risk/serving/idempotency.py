"""Idempotency keys: who asks twice with the same key gets what the first request has made.

As the IETF's draft-ietf-httpapi-idempotency-key-header-07 has it: 409 while the first request is under way, and 422 for
another request with the same key.
"""

from __future__ import annotations

import json
from hashlib import sha256

from credit_risk.contract.conflicts import ConflictError, KeyReusedError
from credit_risk.jobs.store import JobStore
from credit_risk.serving.job_store import ask

KEPT_SECONDS = 24 * 3600.0
UNDER_WAY_SECONDS = 3600.0  # after which a request is taken for lost
_UNDER_WAY = ""


class KeyUse:
    """One use of a key."""

    def __init__(self, store: JobStore, name: str, made: str | None, fingerprint: str | None) -> None:
        self._store, self._name = store, name
        self._made, self._fingerprint = made, fingerprint  # by the first request

    @classmethod
    async def begin(cls, store: JobStore, caller: str | None, key: str) -> KeyUse:
        """Keep a key for the request under way. Raises ConflictError if another one with it is under way."""
        name = sha256(json.dumps([caller, key]).encode()).hexdigest()
        found = await ask(store.claim_key, name, _UNDER_WAY, UNDER_WAY_SECONDS)
        if found == _UNDER_WAY:
            raise ConflictError("A request with this Idempotency-Key is under way; wait for its answer", 1)
        return cls(store, name, *(json.loads(found) if found is not None else (None, None)))

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
