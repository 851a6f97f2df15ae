"""One attack after the other, each between a look at the service before it and one after it."""

from __future__ import annotations

import asyncio
import http.client
import random
import resource
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus

import uvloop

from attack.application import BATCH, GOOD
from attack.caller import callers
from attack.ground import Attack, Ground
from attack.insides import faults_in, settled, watched
from attack.target import Target
from attack.verdict import MOST_DESCRIPTORS, MOST_LEFT_MB, Verdict, Vitals

MOST_SECONDS = (
    120  # that an attack may last beyond what it was given, and fuzzing for each 100 requests beyond a second
)
REQUESTS_A_SECOND = 100
SETTLE_SECONDS = 12.0  # for connections to be swept and memory to be given back
BACK_SECONDS = 30.0  # for the service to be ready again
FIRST_BATCHES = 6  # so that each worker has had one: the first one takes memory for good


def rounds(target: Target, attacks: Sequence[Attack], seconds: float, requests: int, seed: int) -> Iterator[Verdict]:
    """Attack a service, and give a verdict after each attack."""
    _allow_many_descriptors()
    _warm_up(target)
    for attack in attacks:
        ground = Ground(target, seconds, requests, random.Random(f"{seed} {attack.name}"))
        verdict = _round(target, attack, ground)
        yield verdict
        if verdict.is_down:  # nothing can be told about the rest
            return


def _round(target: Target, attack: Attack, ground: Ground) -> Verdict:
    verdict = Verdict(attack.name, attack.sentence)
    insides = target.insides
    before, logged = _vitals(target), len(insides.log())
    with watched(insides) as peak, callers(target.host, target.port, target.key) as accounts:
        ground.began = time.monotonic()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_launched(attack, ground))
        verdict.seconds = round(time.monotonic() - ground.began, 1)
    fault = _fault_of_readiness(target)
    settled(
        insides, (before.memory_mb or 0) + MOST_LEFT_MB, (before.descriptors or 0) + MOST_DESCRIPTORS, SETTLE_SECONDS
    )
    verdict.faults += ground.faults + ([fault] if fault else [])
    verdict.is_down = fault is not None
    verdict.figures = ground.figures
    verdict.judge_statuses(ground.statuses)
    verdict.judge_callers(accounts)
    verdict.judge_vitals(before, _vitals(target), peak)
    verdict.faults += faults_in(insides.log()[logged:])
    return verdict


async def _launched(attack: Attack, ground: Ground) -> None:
    """Let an attack go on for as long as it may."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # a reset is what an attacker has to expect
    try:
        async with asyncio.timeout(ground.seconds + MOST_SECONDS + ground.requests / REQUESTS_A_SECOND):
            await attack.launch(ground)
    except TimeoutError:
        ground.check(False, "an attack did not come to its end")
    except (OSError, EOFError) as error:
        ground.check(False, f"hung up on the attacker: {type(error).__name__}")


def _vitals(target: Target) -> Vitals:
    insides = target.insides
    return Vitals(insides.memory_mb(), insides.descriptors(), insides.workers())


def _fault_of_readiness(target: Target) -> str | None:
    """Wait until the service is alive and ready. Answers what is wrong if it does not become so."""
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        wrong = [path for path in ("/livez", "/readyz") if _status(target, "GET", path) != HTTPStatus.OK]
        if not wrong:
            return None
        if time.monotonic() > deadline:
            return f"{' and '.join(wrong)} did not come back within {BACK_SECONDS:g} s"
        time.sleep(0.2)


def _warm_up(target: Target) -> None:
    for _ in range(FIRST_BATCHES):
        _status(target, "POST", "/classify", GOOD)
        _status(target, "POST", "/classify_batch", BATCH)


def _status(target: Target, method: str, path: str, body: bytes | None = None) -> int:
    headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    connection = http.client.HTTPConnection(target.host, target.port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    return answer.status


def _allow_many_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
