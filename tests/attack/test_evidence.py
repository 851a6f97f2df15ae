"""What verdicts are based on: the well-behaved caller, the log, memory, and requests that can be made again."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from random import Random

import pytest

from attack.application import MARKER
from attack.caller import Account, Caller
from attack.fuzz import changed_anywhere, with_changed_body
from attack.ground import Ground
from attack.insides import Peak, faults_in
from attack.target import Target
from attack.verdict import Verdict, Vitals
from tests.attack.weak import Weak, weak_service


class Forgetful(Weak):
    """Ends a connection after two answers without saying so."""

    requests_of_a_connection = 2


class Undecided(Weak):
    """Decides otherwise each time."""

    probability = 0

    def answer(self, status: int, body: bytes) -> None:
        Undecided.probability += 1
        super().answer(status, body.replace(b"0.1", b"0.%d" % Undecided.probability))


class Deaf(Weak):
    """Ends connections without an answer."""

    def answer(self, status: int, body: bytes) -> None:  # noqa: ARG002
        self.close_connection = True


@pytest.mark.parametrize(("service", "faults"), [(Forgetful, 0), (Undecided, 4), (Deaf, 5), (Weak, 0)])
def test_a_caller_asks_again_over_a_new_connection_but_not_without_end(service: type[Weak], faults: int) -> None:
    with weak_service(service) as weak, closing(Caller(weak.host, weak.port, "/classify", None)) as caller:
        for _ in range(5):
            caller.ask()
    assert caller.account.asked == 5
    assert len(caller.account.faults) == faults
    assert len(caller.account.milliseconds) == 5 - faults


def test_percentiles_are_of_what_was_answered() -> None:
    account = Account("/classify", milliseconds=[float(number) for number in range(100, 0, -1)])
    assert [account.percentile(share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]


def test_a_log_is_searched_for_tracebacks_and_for_what_requests_held() -> None:
    assert faults_in(b"[INFO] served\n[ERROR] a request failed\n") == []
    assert faults_in(f"[INFO] {MARKER}\n".encode()) == ["the log shows what a request held"]
    for trace in (b'[ERROR] KeyError\n  File "service.py", line 1\n', b'{"message": "KeyError", "traceback": "..."}'):
        assert ["traceback" in fault for fault in faults_in(b"started\n" + trace)] == [True]


@pytest.mark.parametrize(
    ("after", "peak", "fault"),
    [
        (Vitals(510, 60, frozenset({1, 2})), 600, ""),
        (Vitals(510, 60, frozenset({1, 2})), 2000, "took 1,500 MB more"),
        (Vitals(800, 60, frozenset({1, 2})), 800, "kept 300 MB"),
        (Vitals(500, 600, frozenset({1, 2})), 600, "kept 540 descriptors"),
        (Vitals(500, 60, frozenset({1, 3})), 600, "1 of 2 processes died"),
    ],
)
def test_a_service_has_to_be_afterwards_what_it_was(after: Vitals, peak: float, fault: str) -> None:
    verdict = Verdict("idle", "Nothing comes.")
    verdict.judge_vitals(Vitals(500, 60, frozenset({1, 2})), after, Peak(peak))
    assert verdict.faults == ([fault] if fault else [])


def test_overload_is_no_failure_but_every_other_5xx_is() -> None:
    verdict = Verdict("idle", "Nothing comes.")
    verdict.judge_statuses(Counter({200: 5, 400: 1, 503: 9}))
    assert verdict.held
    verdict.judge_statuses(Counter({500: 2, 502: 1}))
    assert verdict.faults == ["answered 500 2 times", "answered 502 1 times"]


def test_who_is_refused_all_the_time_is_shut_out() -> None:
    verdict = Verdict("idle", "Nothing comes.")
    verdict.judge_callers(
        [Account("/classify", asked=5, refused=5), Account("/livez", asked=5, milliseconds=[1.0] * 5)]
    )
    assert verdict.faults == ["/classify: all 5 well-behaved requests were refused"]


@pytest.mark.parametrize("change", [with_changed_body, changed_anywhere])
def test_a_seed_makes_the_same_requests_again(change: object) -> None:
    assert callable(change)
    ground = Ground(Target("127.0.0.1", 1), 1, 1, Random(1))
    first, again, other = ([change(rng, ground) for _ in range(200)] for rng in (Random(1), Random(1), Random(2)))
    assert first == again != other
    assert len(set(first)) > 100
