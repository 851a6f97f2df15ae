"""Scoring by a model server, over real HTTP, from one that can be made to fail in every way."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pytest
from aiohttp import web

from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.errors import UnavailableError
from credit_risk.deciding.model_server import NOT_SCORED, ModelServer
from credit_risk.deciding.open_inference import BINARY, Address, ServerError
from credit_risk.deciding.scoring import InProcessScoring, Score
from credit_risk.deciding.served_model import TOLERANCE, ServedModel
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from tests.fake_model_server import FakeModelServer, Handler

REVIEW = 0.3
SECRET = "87654.25"
T = TypeVar("T")


@pytest.fixture
def fake(model: StoredModel) -> Iterator[FakeModelServer]:
    with FakeModelServer(model).running() as server:
        yield server


@pytest.fixture(scope="module")
def rows(model: StoredModel, synthetic: Dataset) -> list[bytes]:
    planted = EXAMPLE.model_copy(update={"income": float(SECRET)})
    return [model.encoder.encode(application) for application in (*synthetic.applications[:400], planted)]


@dataclass
class Client:
    """A model server's client, with what it counted."""

    scoring: ModelServer
    counts: Counter[str] = field(default_factory=Counter)

    async def score(self, rows: list[bytes]) -> list[Score] | str:
        """Give the scores, or what a caller would be told."""
        try:
            return await self.scoring.score(rows, REVIEW)
        except UnavailableError as error:
            return str(error)


def asking(
    fake: FakeModelServer, ask: Callable[[Client], Awaitable[T]], *, timeout: float = 5, fallback: bool = False
) -> T:
    """Let a client ask, on an event loop of its own."""

    async def run() -> T:
        counts: Counter[str] = Counter()
        address = Address.parse(fake.address)
        scoring = ModelServer(
            ServedModel(address, fake.model, timeout),
            fake.model,
            name=address.shown,
            timeout=timeout,
            fallback=fallback,
            count=lambda outcome: counts.update([outcome]),
        )
        try:
            return await ask(Client(scoring, counts))
        finally:
            await scoring.close()

    return asyncio.run(run())


def scores_of(fake: FakeModelServer, rows: list[bytes]) -> list[Score]:
    found = asking(fake, lambda client: client.score(rows))
    assert isinstance(found, list)
    return found


def local(model: StoredModel, rows: list[bytes]) -> list[Score]:
    return asyncio.run(InProcessScoring(model).score(rows, REVIEW))


def status_of(score: Score) -> tuple[bool, bool]:
    return score.probability > REVIEW, score.probability > 0.5


@pytest.mark.parametrize("extensions", [[], [BINARY]])
@pytest.mark.parametrize("gives_margins", [False, True])
def test_the_scores_are_those_of_the_model_and_name_the_server(
    fake: FakeModelServer, rows: list[bytes], extensions: list[str], gives_margins: bool
) -> None:
    fake.extensions, fake.gives_margins = extensions, gives_margins
    found, expected = scores_of(fake, rows), local(fake.model, rows)
    assert [score.reasons for score in found] == [score.reasons for score in expected]
    assert [status_of(score) for score in found] == [status_of(score) for score in expected]
    assert [score.probability for score in found] == pytest.approx([s.probability for s in expected], abs=TOLERANCE)
    assert {score.scored_by for score in found} == {fake.address}
    if gives_margins:
        assert [score.margin for score in found] == [score.margin for score in expected]
    assert fake.binary == [bool(extensions)] * 2  # the probe, and all the rows in one request


def test_unknowns_arrive_as_unknown(fake: FakeModelServer, model: StoredModel) -> None:
    unknown = [
        model.encoder.encode(EXAMPLE.model_copy(update=dict.fromkeys(fields)))
        for fields in (["income"], ["assets"], ["debt"], ["income", "assets", "debt"])
    ]
    assert np.isnan(model.encoder.matrix(unknown)).any()
    for found, expected in zip(scores_of(fake, unknown), local(model, unknown), strict=True):
        assert found.probability == pytest.approx(expected.probability, abs=TOLERANCE)


def test_connections_are_kept(fake: FakeModelServer, rows: list[bytes]) -> None:
    async def ask(client: Client) -> None:
        for row in rows[:20]:
            await client.score([row])

    asking(fake, ask)
    assert len(fake.rows) == 21
    assert len(fake.connections) == 1


def test_a_decision_at_a_cutoff_is_that_of_the_model(fake: FakeModelServer, rows: list[bytes]) -> None:
    """However the server's numbers are off within the tolerance: the cutoffs are put where it would matter."""
    expected = local(fake.model, rows)
    by_probability = sorted({score.probability for score in expected})
    cutoffs = [*by_probability, *(sum(pair) / 2 for pair in pairwise(by_probability))]
    for off in (-0.9 * TOLERANCE, 0.9 * TOLERANCE):

        def give(values: Any, off: float = off) -> Any:
            return (values.astype(np.float64) + off).tolist()

        fake.gives = give

        async def ask(client: Client) -> None:
            for cutoff in cutoffs[:: len(cutoffs) // 40]:
                found = await client.scoring.score(rows, cutoff)
                for decline in (cutoff, *by_probability[::50]):
                    if decline >= cutoff:
                        assert [s.probability > decline for s in found] == [s.probability > decline for s in expected]
                assert [bool(score.reasons) for score in found] == [score.probability > cutoff for score in expected]

        asking(fake, ask)


def constant(value: float, values: Any) -> list[float]:
    return [value] * len(values)


def break_up(values: Any) -> Any:
    return [None, *values.tolist()[1:]]


def answering(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: answer | changes


def output(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: answer | {"outputs": [answer["outputs"][0] | changes]}


async def not_json(request: web.Request) -> web.Response:  # noqa: ARG001
    return web.Response(text="it works!")


async def redirect(request: web.Request) -> web.Response:  # noqa: ARG001
    raise web.HTTPTemporaryRedirect("/v2/models/credit_risk_model/infer?again")


async def fail(request: web.Request) -> web.Response:  # noqa: ARG001
    raise web.HTTPInternalServerError


async def too_much(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(20):
        await response.write(b" " * 2**20)
    return response


# What is set to what, and how that is told, unless it takes a comparison with the model to find it.
WRONG: dict[str, tuple[str, Any, str]] = {
    "another model": ("answers", answering(model_name="another"), "another model or version"),
    "another version": ("answers", answering(model_version="2"), "another model or version"),
    "no version": ("answers", answering(model_version=None), "another model or version"),
    "null": ("gives", break_up, "not finite"),
    "NaN": ("gives", lambda values: [float("nan")] * len(values), "not finite"),
    "infinity": ("gives", lambda values: [float("inf")] * len(values), "not finite"),
    "2": ("gives", lambda values: [2.0] * len(values), "not between 0 and 1"),
    "-0.5": ("gives", lambda values: [-0.5] * len(values), "not between 0 and 1"),
    "too few": ("gives", lambda values: values.tolist()[1:], "numbers to"),
    "too many": ("gives", lambda values: [*values.tolist(), 0.5], "numbers to"),
    "texts": ("gives", lambda values: [str(value) for value in values], "Open Inference Protocol"),
    "another shape": ("answers", output(shape=[7]), "the shape"),
    "no output": ("answers", answering(outputs=[]), "0 outputs"),
    "no data": ("answers", output(data=None), "0 numbers"),
    "another type": ("answers", output(datatype="INT64"), "Open Inference Protocol"),
    "no JSON": ("infers", not_json, "Open Inference Protocol"),
    "redirect": ("infers", redirect, "status 307"),
    "failure": ("infers", fail, "status 500"),
    "too much": ("infers", too_much, "too many bytes"),
    "reversed rows": ("gives", lambda values: values.tolist()[::-1], ""),
    "another order of features": ("reads", lambda matrix: matrix[:, ::-1], ""),
    "0 for unknown": ("reads", lambda matrix: np.nan_to_num(matrix), ""),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_answer_is_never_used(
    fake: FakeModelServer, rows: list[bytes], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    attribute, wrong, _ = WRONG[fault]

    async def ask(client: Client) -> list[Any]:
        assert isinstance(await client.score(rows), list)
        setattr(fake, attribute, wrong)
        found = [await client.score(rows) for _ in range(5)]
        assert client.counts == {"ok": 1, "failed": 3, "refused": 2}
        assert not client.scoring.is_ready
        return found

    with caplog.at_level(logging.INFO):
        assert asking(fake, ask) == [NOT_SCORED] * 5
    [record] = [record for record in caplog.records if record.name == "bentoml.credit_risk"]
    assert record.levelno == logging.WARNING
    assert fake.address in record.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("fault", [fault for fault, (_, _, told) in WRONG.items() if told])
def test_a_wrong_answer_is_named(fake: FakeModelServer, rows: list[bytes], fault: str) -> None:
    attribute, wrong, told = WRONG[fault]

    async def ask() -> None:
        served = ServedModel(Address.parse(fake.address), fake.model, timeout=5)
        await served.check()
        setattr(fake, attribute, wrong)
        with pytest.raises(ServerError, match=told):
            await served.score(fake.model.encoder.matrix(rows))
        await served.close()

    asyncio.run(ask())


def test_probabilities_of_0_and_1_are_refused(fake: FakeModelServer, rows: list[bytes]) -> None:
    async def ask(client: Client) -> None:
        await client.score(rows)
        for value in (0.0, 1.0):
            fake.gives = partial(constant, value)
            assert await client.score(rows) == NOT_SCORED
            fake.gives = lambda values: values.tolist()

    asking(fake, ask)


def test_log_odds_that_no_model_gives_are_refused(fake: FakeModelServer, rows: list[bytes]) -> None:
    fake.gives_margins = True

    async def ask(client: Client) -> None:
        await client.score(rows)
        fake.gives = lambda values: [-1e30] * len(values)
        assert await client.score(rows) == NOT_SCORED

    asking(fake, ask)


async def stall(request: web.Request) -> web.Response:  # noqa: ARG001
    await asyncio.sleep(60)
    raise AssertionError


def test_a_slow_server_is_left_at_the_deadline_and_not_asked_again(fake: FakeModelServer, rows: list[bytes]) -> None:
    async def ask(client: Client) -> None:
        await client.score(rows)
        fake.infers = stall
        asked = len(fake.rows)
        assert [await client.score(rows) for _ in range(5)] == [NOT_SCORED] * 5
        assert len(fake.rows) == asked + 3
        assert client.counts == {"ok": 1, "failed": 3, "refused": 2}

    asking(fake, ask, timeout=0.3)


def cutting(after: bytes, times: int) -> Handler:
    """Break the connection so often, after so much of an answer."""
    left = [times]

    async def infer(request: web.Request) -> web.Response:
        if left[0]:
            left[0] -= 1
            assert request.transport is not None
            request.transport.write(after)
            request.transport.close()
        return web.Response()

    return infer


CUTS = [b"", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"]


@pytest.mark.parametrize("after", CUTS)
def test_a_broken_connection_is_tried_once_more(fake: FakeModelServer, rows: list[bytes], after: bytes) -> None:
    cut = cutting(after, times=1)

    async def cut_once(request: web.Request) -> web.StreamResponse:
        fake.infers = None
        return await cut(request)

    async def ask(client: Client) -> None:
        await client.score(rows)
        fake.infers = cut_once
        assert isinstance(await client.score(rows), list)
        assert client.counts == {"ok": 2, "retried": 1}
        assert fake.rows[-1] == len(rows)

    asking(fake, ask)


def test_a_connection_that_breaks_twice_is_a_failure(fake: FakeModelServer, rows: list[bytes]) -> None:
    async def ask(client: Client) -> None:
        await client.score(rows)
        fake.infers = cutting(b"", times=100)
        assert await client.score(rows) == NOT_SCORED
        assert client.counts == {"ok": 1, "retried": 1, "failed": 1}

    asking(fake, ask)


def test_a_server_that_comes_back_is_checked_and_asked_again(
    model: StoredModel, rows: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeModelServer(model)

    async def ask(client: Client) -> None:
        with fake.running():
            assert isinstance(await client.score(rows), list)
        while client.scoring.is_ready:
            assert await client.score(rows) == NOT_SCORED
        fake.version = "another"  # it is not asked as long as it serves another model
        with fake.running():
            asked = len(fake.rows)
            while len(fake.rows) == asked:  # it is probed each second
                await asyncio.sleep(0.01)
            assert await client.score(rows) == NOT_SCORED
            assert max(fake.rows[asked:]) < len(rows)
        fake.version = model.version
        with fake.running():
            while not client.scoring.is_ready:
                await asyncio.sleep(0.01)
            assert isinstance(await client.score(rows), list)

    with fake.running():
        pass  # to have a port
    with caplog.at_level(logging.INFO):
        asking(fake, ask)
    told = [record.getMessage() for record in caplog.records if record.name == "bentoml.credit_risk"]
    assert len(told) == 2
    assert "can't be reached" in told[0] or "broke the connection" in told[0]
    assert told[1].endswith("is well again")


def test_the_local_model_scores_in_its_place_if_it_may(fake: FakeModelServer, rows: list[bytes]) -> None:
    async def ask(client: Client) -> None:
        fake.infers = fail
        for _ in range(5):
            found = await client.score(rows)
            assert found == [score._replace(scored_by="local") for score in local_scores]
            assert client.scoring.is_ready
        assert client.counts == {"failed": 3, "refused": 2, "fallback": 5}

    local_scores = local(fake.model, rows)
    asking(fake, ask, fallback=True)


def test_credentials_are_sent_and_not_shown(fake: FakeModelServer, rows: list[bytes]) -> None:
    address = Address.parse(fake.address.replace("http://", "http://scorer:pass@"))
    assert address.shown == fake.address

    async def ask() -> None:
        served = ServedModel(address, fake.model, timeout=5)
        await served.score(fake.model.encoder.matrix(rows))
        await served.close()

    asyncio.run(ask())
    assert set(fake.authorization) == {"Basic c2NvcmVyOnBhc3M="}
