"""Large batches, many at once."""

from __future__ import annotations

from http import HTTPStatus

from attack.application import BATCH
from attack.ground import Ground
from credit_risk.contract.faults import MAX_BATCH

AT_ONCE = 200
LEAVES = 4  # every fourth caller goes away


async def batches(ground: Ground) -> None:
    """200 batches of 10,000 applications at once; every fourth caller goes away before the answer."""
    request = ground.request("/classify_batch", BATCH)
    counts = dict.fromkeys((HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS), 0)

    async def one(number: int) -> None:
        async with ground.open() as connection:
            if number % LEAVES == 0:
                await connection.send(request if number % (2 * LEAVES) else request[: len(request) // 2])
                await ground.pause(number / AT_ONCE)
                return
            connection.write(request)
            answer = await connection.answer()
            if answer.status not in counts:
                ground.check(False, f"answered {answer.status}")
                return
            counts[HTTPStatus(answer.status)] += 1
            if answer.status == HTTPStatus.OK:
                whole = answer.body.count(b'"decision_id"') == MAX_BATCH
                ground.check(whole, "answered a batch without all its decisions")
            else:
                ground.check(b"\r\nretry-after: " in answer.head.lower(), "refused a batch without Retry-After")

    lost = await ground.at_once(AT_ONCE, one)
    ground.figures |= {"decided": counts[HTTPStatus.OK], "refused": sum(counts.values()) - counts[HTTPStatus.OK]}
    ground.figures["hung up on"] = lost
    ground.check(counts[HTTPStatus.OK] > 0, "decided no batch at all")
