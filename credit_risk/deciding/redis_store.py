"""What is on file, in Redis: one MGET for a batch, over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
import redis.asyncio
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from credit_risk.contract.errors import FeaturesError
from credit_risk.deciding.breaker import Breaker, OpenError
from credit_risk.deciding.feature_store import Profile, StoreError, unpack

PREFIX = "credit-risk"
CURRENT = f"{PREFIX}:generation"  # names the generation of profiles that counts
CHECK_SECONDS = 2.0  # that the check at the start may take


def key_of(generation: str, customer: str) -> str:
    """Name the key of a customer's profile. A load that replaces everything makes a new generation."""
    return f"{PREFIX}:{generation}:{customer}"


class RedisStore:
    """Looks up a batch with one MGET, which also tells which generation counts.

    Only if that has changed, one more MGET is needed. An empty Redis counts as down: nobody is unknown to a store that
    has lost its memory.
    """

    def __init__(self, url: str, *, seconds: float) -> None:
        """`seconds` is how long a look-up may take."""
        self.source = without_credentials(url)
        self._seconds = seconds
        self._breaker = Breaker(f"The feature store {self.source}", lambda: self._ask([]))
        self._generation = ""
        # The connection itself, because redis-py's client around it costs more than the round trip.
        pool: Any = redis.asyncio.ConnectionPool.from_url(url, socket_connect_timeout=seconds)
        self._connection = pool.make_connection()
        self._turn = asyncio.Lock()  # of batches on the one connection

    async def look_up(self, customers: Sequence[str]) -> list[Profile | None]:
        try:
            with self._breaker.guard():
                found = await self._ask(customers)
        except OpenError:
            raise StoreError("it failed lately") from None
        except TimeoutError:
            raise StoreError("it did not answer in time") from None
        except (RedisError, OSError) as error:
            raise StoreError(str(error) or type(error).__name__) from None
        return [unpack(packed) for packed in found]

    async def close(self) -> None:
        self._breaker.close()
        await self._connection.disconnect()

    async def _ask(self, customers: Sequence[str]) -> list[bytes | None]:
        async with asyncio.timeout(self._seconds):
            return await self._mget(customers)

    async def _mget(self, customers: Sequence[str]) -> list[bytes | None]:
        generation = self._generation  # of these keys: other look-ups learn of a new one meanwhile
        while True:
            keys = [key_of(generation, customer) for customer in customers]
            current: bytes | None
            found: list[bytes | None]
            current, *found = await self._exchange("MGET", CURRENT, *keys)
            if current is None:
                raise RedisError("nothing is loaded")
            if current.decode() == generation:
                return found
            generation = self._generation = current.decode()

    async def _exchange(self, *command: str) -> Any:
        async with self._turn:
            try:
                return await self._send(command)
            except RedisConnectionError:  # the server may have closed it meanwhile; it is opened anew
                return await self._send(command)

    async def _send(self, command: Sequence[str]) -> Any:
        try:
            await self._connection.send_command(*command)
            return await self._connection.read_response()
        except BaseException:  # the rest of this answer must not be taken for the next one
            await self._connection.disconnect(nowait=True)
            raise


def check_redis(url: str) -> str | None:
    """Ask a Redis once. Gives what is wrong if it can't be reached now, or has nothing loaded.

    Raises FeaturesError if it refuses, which time does not mend.
    """
    where = f"CREDIT_RISK_FEATURES: {without_credentials(url)}"
    try:
        with redis.from_url(url, socket_connect_timeout=CHECK_SECONDS, socket_timeout=CHECK_SECONDS) as client:
            return None if client.get(CURRENT) else "nothing is loaded; run `python -m credit_risk features load`"
    except AuthenticationError:
        raise FeaturesError(f"{where} refuses the password; name the right one, as in redis://:PASSWORD@host") from None
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            fix = "name the authority that signed it, as in rediss://HOST:PORT/DB?ssl_ca_certs=FILE"
            raise FeaturesError(f"{where} has a certificate that nobody vouches for; {fix}") from None
        hint = "" if url.startswith("rediss:") else "; if it speaks TLS, write rediss://"
        return f"it can't be reached: {error}{hint}"
    except RedisError as error:
        raise FeaturesError(f"{where} can't be used: {error}") from None


def without_credentials(url: str) -> str:
    """Give an address as it may be shown."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
