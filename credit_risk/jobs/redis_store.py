"""Jobs in Redis, for services and workers on several machines.

Redis has to keep what it is told (`appendonly yes`). Each change is a script, so that a job and what finds it change at
one moment or not at all.
"""

from __future__ import annotations

import json
from typing import Any, cast

import redis

from credit_risk.jobs.job import ENDED, STATES, Job
from credit_risk.jobs.store import Figures, Usage, translating

TIMEOUT_SECONDS = 5.0
PREFIX = "credit_risk:jobs"
# KEYS: jobs, due, caller, unfinished, sizes, totals, state before, state after. ARGV: id, version before (0: none), job
# ("": none), due, created, caller, bytes more, 1 if unfinished after, then names and numbers for the totals.
REPLACE = """
local found = redis.call('HGET', KEYS[1], ARGV[1])
local version = found and cjson.decode(found)['version'] or 0
if version ~= tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
redis.call('HINCRBY', KEYS[5], ARGV[6], ARGV[7])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
  redis.call('ZADD', KEYS[8], ARGV[5], ARGV[1])
  if ARGV[8] == '1' then redis.call('SADD', KEYS[4], ARGV[1]) end
end
for i = 9, #ARGV, 2 do redis.call('HINCRBY', KEYS[6], ARGV[i], ARGV[i + 1]) end
return 1
"""

# KEYS: key. ARGV: value before, value ("": none), milliseconds.
REPLACE_KEY = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""


class RedisJobs:
    """A JobStore in Redis."""

    def __init__(self, url: str) -> None:
        self._where = "the jobs' Redis"
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, decode_responses=True
        )
        self._replace = self._redis.register_script(REPLACE)
        self._replace_key = self._redis.register_script(REPLACE_KEY)

    def add(self, job: Job) -> None:
        self._swap(job, 0, job, job.size, {})

    def get(self, job_id: str) -> Job | None:
        with self._asking():
            found = self._redis.hget(_name("all"), job_id)
        return None if found is None else Job.model_validate_json(cast("str", found))

    def replace(self, before: Job, after: Job | None, totals: dict[str, int] | None = None) -> bool:
        more = (after.size if after else 0) - before.size
        return self._swap(before, before.version, after, more, totals or {})

    def of_caller(self, caller: str | None, most: int) -> list[Job]:
        with self._asking():
            ids = self._redis.zrange(_name("of", caller or ""), "+", "-", bylex=True, desc=True, offset=0, num=most)
            return self._all(cast("list[str]", ids))

    def due(self, now: float, most: int) -> list[Job]:
        with self._asking():
            ids = self._redis.zrangebyscore(_name("due"), 0, now, start=0, num=most)
            return self._all(cast("list[str]", ids))

    def usage(self, caller: str | None) -> Usage:
        with self._asking():
            unfinished = self._redis.scard(_name("unfinished", caller or ""))
            size = cast("str | None", self._redis.hget(_name("sizes"), caller or ""))
        return Usage(unfinished, int(size or 0))

    def figures(self) -> Figures:
        with self._asking():
            counts = {state: self._redis.zcard(_name("in", state)) for state in STATES}
            oldest = cast("list[Any]", self._redis.zrange(_name("in", "queued"), 0, 0, withscores=True))
            totals = cast("dict[str, str]", self._redis.hgetall(_name("totals")))
        return Figures(counts, oldest[0][1] if oldest else None, {name: int(value) for name, value in totals.items()})

    def claim_key(self, name: str, value: str, seconds: float) -> str | None:
        with self._asking():
            key = _name("key", name)
            found = self._redis.set(key, value, nx=True, px=int(seconds * 1000), get=True)
        return cast("str | None", found)

    def set_key(self, name: str, value: str, seconds: float) -> None:
        with self._asking():
            self._redis.set(_name("key", name), value, px=int(seconds * 1000))

    def replace_key(self, name: str, before: str, after: str | None, seconds: float) -> bool:
        with self._asking():
            arguments: list[Any] = [before, after or "", int(seconds * 1000)]
            return bool(self._replace_key(keys=[_name("key", name)], args=arguments))

    def drop_key(self, name: str) -> None:
        with self._asking():
            self._redis.delete(_name("key", name))

    def leave(self) -> None:
        pass  # threads take connections from a pool, and give them back

    def _swap(self, before: Job, version: int, after: Job | None, more: int, totals: dict[str, int]) -> bool:
        caller, state = before.caller or "", after.state if after else before.state
        keys = [
            _name("all"),
            _name("due"),
            _name("of", caller),
            _name("unfinished", caller),
            _name("sizes"),
            _name("totals"),
            _name("in", before.state),
            _name("in", state),
        ]
        arguments: list[Any] = [
            before.id,
            version,
            after.model_dump_json() if after else "",
            after.due if after else 0,
            before.created,
            caller,
            more,
            int(after is not None and after.state not in ENDED),
        ]
        for name, value in totals.items():
            arguments += [name, value]
        with self._asking():
            return bool(self._replace(keys=keys, args=arguments))

    def _all(self, ids: list[str]) -> list[Job]:
        found = cast("list[str | None]", self._redis.hmget(_name("all"), ids)) if ids else []
        return [Job.model_validate_json(job) for job in found if job is not None]

    def _asking(self) -> Any:
        return translating((redis.RedisError, OSError, json.JSONDecodeError), self._where)


def _name(*parts: str) -> str:
    return ":".join((PREFIX, *parts))
