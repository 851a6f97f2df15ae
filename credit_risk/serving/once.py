"""Requests with an Idempotency-Key: what is decided once is answered again, whatever is killed in between.

Before anything is decided, the key is given a claim: the seed of the ids of the decisions to come. Afterwards it is
given the answer. If a claim has no answer when its request can't be under way any more, the next request with the key
takes it over: what is in the decision log by these ids is answered from there, and the rest is decided with the same.

So that nobody else is at it, nothing is decided for a claim after its time, and it is taken over only later than that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple, TypeVar

from credit_risk.contract.conflicts import ConflictError, KeyReusedError
from credit_risk.contract.customer import Part
from credit_risk.contract.errors import InvalidRequestError, RequestError, UnavailableError
from credit_risk.contract.refusals import QUEUE_FULL
from credit_risk.jobs.ids import decision_id, new_id
from credit_risk.jobs.store import JobStore, StoreError
from credit_risk.serving.idempotency import CONFLICT, KEPT_SECONDS, check_key, name_of
from credit_risk.serving.job_store import RETRY_SECONDS

T = TypeVar("T")
Find = Callable[[Collection[str]], Mapping[str, bytes]]  # takes ids of decisions, and gives the answers on record
logger = logging.getLogger("bentoml.credit_risk")
SLACK_SECONDS = 5.0  # that clocks may be apart, and that a decision may take from its id into the log
THREADS = 2  # that ask the store; SQLite lets one write at a time
MOST_UNDER_WAY = 500  # requests with keys, in a worker
NO_KEYS = "This service keeps no Idempotency-Key: leave it out, or let CREDIT_RISK_JOBS say where keys are kept"
NOT_KEPT = "Idempotency keys can't be kept or looked up now"


class LateError(UnavailableError):
    """A request took so long that another one may have taken its claim over."""

    def __init__(self) -> None:
        super().__init__("The request took too long to be decided; ask again with the same Idempotency-Key")


class Claim(NamedTuple):
    """What is known of a request before it is decided."""

    seed: str  # of the ids of its decisions
    fingerprint: str  # of the request
    since: float  # Unix time; 0 if the request is over

    @property
    def text(self) -> str:
        return json.dumps(self)


class Use:
    """A use of a key by a request that is to be decided."""

    def __init__(self, name: str, claim: Claim, seconds: float, find: Find | None) -> None:
        """`find` is given if an earlier request may have been decided."""
        self.name, self.claim, self.was_on_record = name, claim, False
        self._seconds, self._find = seconds, find

    @property
    def is_first(self) -> bool:
        return self._find is None

    def id_of(self, position: int) -> str:
        """Give the id of the decision at a position of the request. Raises LateError after the time of the claim."""
        if time.time() - self.claim.since > self._seconds:
            raise LateError
        return decision_id(self.claim.seed, position)

    async def found(self, size: int) -> dict[int, bytes]:
        """Give the answers to this request of `size` applications that are on record already, by their positions."""
        if self._find is None:
            return {}
        positions = {decision_id(self.claim.seed, position): position for position in range(size)}
        answers = await asyncio.to_thread(self._find, positions)
        self.was_on_record = len(answers) == size
        logger.info("A request with an Idempotency-Key was cut short; on record: %d of %d", len(answers), size)
        return {positions[each]: answer for each, answer in answers.items()}

    def ids_without(self, found: Mapping[int, bytes]) -> Callable[[], str]:
        """Make the ids of a batch's decisions, in order, but for those that are found."""
        return map(self.id_of, (position for position in count() if position not in found)).__next__


class Once:
    """Answers requests with keys. To be used on one event loop only."""

    def __init__(self, open_store: Callable[[], JobStore] | None, find: Find, seconds: float) -> None:
        """Without `open_store`, no key is taken. A request is decided within `seconds` or not at all."""
        self._open_store = open_store
        self._find = find
        self._seconds = seconds
        self._store: JobStore | None = None
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="idempotency-keys")
        self._under_way: set[asyncio.Task[tuple[bytes, bool]]] = set()

    async def answer(
        self, caller: str | None, key: bytes, request: Sequence[bytes], decide: Callable[[Use], Awaitable[bytes]]
    ) -> tuple[bytes, bool]:
        """Give the answer to a request, whose content comes in pieces, and tell whether an earlier request has made it.

        What is begun is finished even if the caller goes away, so that it finds the answer when it asks again. Raises
        RequestError.
        """
        if self._open_store is None:
            raise InvalidRequestError(NO_KEYS)
        text = key.decode("latin-1")
        check_key(text)
        if len(self._under_way) >= MOST_UNDER_WAY:
            raise UnavailableError(QUEUE_FULL)
        task = asyncio.get_running_loop().create_task(self._answer(name_of(caller, text), request, decide))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])  # a batch keeps its turn until then
            raise

    def _ended(self, task: asyncio.Task[tuple[bytes, bool]]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # has been told, or nobody is there to be told

    async def _answer(
        self, name: str, request: Sequence[bytes], decide: Callable[[Use], Awaitable[bytes]]
    ) -> tuple[bytes, bool]:
        use = await self._ask(self._begin, name, request)
        if isinstance(use, bytes):
            return use, True
        try:
            answer = await decide(use)
        except LateError:  # the claim may be another one's by now
            raise
        except Exception as error:
            # Something may be on record if an earlier request was under way, or this one failed: the next one looks at
            # once. Else the key is free again.
            is_undecided = use.is_first and isinstance(error, RequestError)
            await self._end(use, None if is_undecided else use.claim._replace(since=0.0).text)
            raise
        await self._end(use, f"{use.claim.text}\n{answer.decode()}")
        return answer, use.was_on_record

    def _begin(self, name: str, request: Iterable[bytes]) -> Use | bytes:
        """Claim a key, or give the answer that it has."""
        digest = sha256()
        for piece in request:
            digest.update(piece)
        claim = Claim(new_id(), digest.hexdigest(), time.time())
        store = self._opened()
        found = store.claim_key(name, claim.text, KEPT_SECONDS)
        if found is None:
            return Use(name, claim, self._seconds, None)
        head, _, answer = found.partition("\n")
        seed, fingerprint, *since = json.loads(head or '["", ""]')  # empty while a job is made
        if fingerprint != claim.fingerprint:
            raise KeyReusedError
        if answer:
            return answer.encode()
        if claim.since - since[0] < self._seconds + SLACK_SECONDS:
            raise ConflictError(CONFLICT, 1)
        claim = claim._replace(seed=seed)
        if not store.replace_key(name, found, claim.text, KEPT_SECONDS):
            raise ConflictError(CONFLICT, 1)
        return Use(name, claim, self._seconds, self._find)

    async def _end(self, use: Use, value: str | None) -> None:
        """Give the key of a claim another value, or none. If that fails, the claim is taken over in its time."""
        with suppress(UnavailableError):  # it is logged
            await self._ask(self._replace, use, value)

    def _replace(self, use: Use, value: str | None) -> None:
        self._opened().replace_key(use.name, use.claim.text, value, KEPT_SECONDS)

    def _opened(self) -> JobStore:
        """Open the store when the first key comes: most services never have one."""
        with self._opening:
            if self._store is None:
                assert self._open_store
                self._store = self._open_store()
            return self._store

    async def _ask(self, call: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
        except StoreError as error:
            logger.warning("%s: %s", NOT_KEPT, error)
            raise UnavailableError(NOT_KEPT, RETRY_SECONDS) from None


def without(parts: Iterable[Part], found: Mapping[int, bytes]) -> list[Part]:
    """Leave out the applications at the positions that are found."""
    position = count()
    return [[each for each in part if next(position) not in found] for part in parts]  # type: ignore[misc]


def together(answers: Iterable[bytes], found: Mapping[int, bytes], size: int) -> list[bytes]:
    """Put answers where nothing was found."""
    rest = iter(answers)
    return [found[position] if position in found else next(rest) for position in range(size)]
