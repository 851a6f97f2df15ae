"""The breaker in front of another machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from credit_risk.deciding.breaker import Breaker, OpenError


class Machine:
    """Another machine, which is probed without a pause."""

    def __init__(self) -> None:
        self.is_well = True
        self.probes = 0
        self.breaker = Breaker("the store", self.probe, failures=3, pause=0)

    async def probe(self) -> None:
        self.probes += 1
        if not self.is_well:
            raise OSError

    async def ask(self) -> None:
        with self.breaker.guard():
            if not self.is_well:
                raise ConnectionResetError("gone")

    async def fail(self, times: int) -> None:
        self.is_well = False
        for _ in range(times):
            with pytest.raises(ConnectionResetError):
                await self.ask()


def run(scenario: Callable[[Machine], Awaitable[None]]) -> Machine:
    async def main() -> Machine:
        machine = Machine()
        await scenario(machine)
        machine.breaker.close()
        return machine

    return asyncio.run(main())


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_failures_in_a_row_open_it() -> None:
    async def scenario(machine: Machine) -> None:
        await machine.fail(2)
        machine.is_well = True
        await machine.ask()
        await machine.fail(2)
        assert not machine.breaker.is_open
        await machine.fail(1)
        assert machine.breaker.is_open

    run(scenario)


def test_while_it_is_open_it_probes_and_nobody_else_asks() -> None:
    async def scenario(machine: Machine) -> None:
        await machine.fail(3)
        for _ in range(5):
            with pytest.raises(OpenError):
                await machine.ask()
            await turns(2)
        assert machine.probes > 2
        machine.is_well = True
        await turns()
        await machine.ask()
        assert not machine.breaker.is_open

    run(scenario)


def test_once_it_is_well_it_is_not_probed() -> None:
    async def scenario(machine: Machine) -> None:
        await machine.fail(3)
        machine.is_well = True
        await turns()
        probes = machine.probes
        await turns()
        assert machine.probes == probes
        await machine.fail(2)
        assert not machine.breaker.is_open

    run(scenario)


def test_a_call_that_began_before_does_not_close_it() -> None:
    async def scenario(machine: Machine) -> None:
        begun = machine.breaker.guard()
        begun.__enter__()
        await machine.fail(3)
        begun.__exit__(None, None, None)
        assert machine.breaker.is_open

    run(scenario)


def test_a_cancelled_call_says_nothing() -> None:
    async def scenario(machine: Machine) -> None:
        for _ in range(5):
            with pytest.raises(asyncio.CancelledError), machine.breaker.guard():
                raise asyncio.CancelledError
        assert not machine.breaker.is_open

    run(scenario)


def test_the_log_tells_when_it_opens_and_closes(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(machine: Machine) -> None:
        await machine.fail(3)
        machine.is_well = True
        await turns()

    caplog.set_level("INFO")
    run(scenario)
    assert caplog.messages == [
        "the store fails, and is only probed until it is well: gone",
        "the store is well again",
    ]
