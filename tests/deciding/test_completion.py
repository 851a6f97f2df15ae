"""Applications completed with what is on file, decided, recorded, and decided again from the record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.customer import CustomerApplication
from credit_risk.contract.errors import NotOnFileError, RequestError, UnavailableError
from credit_risk.contract.on_file import FieldsOnFile
from credit_risk.contract.record import DecisionRecord
from credit_risk.deciding.completion import Case, Completed, Completion
from credit_risk.deciding.decided import Decided
from credit_risk.deciding.decider import Decider
from credit_risk.deciding.feature_store import FakeFeatureStore, Fields, Profile, StoreError, pack, unpack
from credit_risk.deciding.log import DecisionLog, FakeLog
from credit_risk.deciding.scoring import InProcessScoring
from credit_risk.deciding.terms import Terms, always
from credit_risk.model.store import StoredModel
from tests.deciders import ORIGIN, POLICY, record_files, renderer_of
from tests.record.test_files import lines_of

NOW = 1_800_000_000.0
DAY = 86_400
SAMPLE: dict[str, Any] = EXAMPLE.model_dump()
RULES = FieldsOnFile.model_validate(
    {
        "fields": {
            "income": {"max_age": "10d", "otherwise": "refuse"},
            "job": {"max_age": "10d", "otherwise": "stale", "stale_up_to": "20d"},
            "debt": {"max_age": "10d", "otherwise": "missing"},
        }
    }
)
SENT = {name: value for name, value in SAMPLE.items() if name not in RULES.names}
ASKED = CustomerApplication.of("C-17", SENT)


def on_file(days: float = 1, **changes: tuple[Any, float] | None) -> Fields:
    """What is on file: fields of the sample, as of so many days ago."""
    fields = {name: (SAMPLE[name], NOW - days * DAY) for name in RULES.names} | changes
    return {name: field for name, field in fields.items() if field is not None}


def days_ago(value: Any, days: float) -> tuple[Any, float]:
    return value, NOW - days * DAY


def complete(store: Any, *asked: Case) -> list[Completed | RequestError]:
    return asyncio.run(Completion(store, clock=lambda: NOW).complete(asked, RULES))


def completed(fields: Fields, asked: CustomerApplication = ASKED) -> Completed:
    (found,) = complete(FakeFeatureStore({asked.customer: fields}), asked)
    assert isinstance(found, Completed)
    return found


def refused(fields: Mapping[str, Any], asked: CustomerApplication = ASKED) -> dict[str, str]:
    (found,) = complete(FakeFeatureStore({asked.customer: fields}), asked)
    assert isinstance(found, NotOnFileError)
    return {str(detail["loc"][0]): detail["type"] for detail in found.detail}


def test_what_was_left_out_comes_from_the_file_with_its_time() -> None:
    whole = completed(on_file(days=3))
    assert whole.application == EXAMPLE
    assert whole.file is not None
    assert whole.file.as_of == {NOW - 3 * DAY: ["job", "income", "debt"]}
    assert (whole.file.customer, whole.file.source, whole.file.stale, whole.file.missing) == ("C-17", "fake", (), ())


def test_times_may_differ_from_field_to_field() -> None:
    whole = completed(on_file(income=(0.0, NOW), debt=days_ago(3000.0, 2)))
    assert whole.application == EXAMPLE
    assert whole.file is not None
    assert whole.file.as_of == {NOW: ["income"], NOW - 2 * DAY: ["debt"], NOW - DAY: ["job"]}


def test_a_time_of_which_nothing_was_taken_is_not_told() -> None:
    asked = CustomerApplication.of("C-17", SENT | {"income": 5.0})
    whole = completed(on_file(income=(0.0, NOW)), asked)
    assert whole.file is not None
    assert whole.file.as_of == {NOW - DAY: ["job", "debt"]}


def test_what_is_not_listed_any_more_is_not_used() -> None:
    fields = {"income": (0.0, NOW), "job": ("freelance", NOW), "debt": (1.0, NOW), "expenses": (99, NOW)}
    assert completed(fields).application.expenses == SAMPLE["expenses"]


def test_what_was_sent_counts() -> None:
    whole = completed(on_file(), CustomerApplication.of("C-17", SENT | {"income": None}))
    assert whole.application.income is None
    assert whole.file is not None
    assert whole.file.as_of == {NOW - DAY: ["job", "debt"]}


def test_a_whole_application_needs_no_look_up() -> None:
    store = FakeFeatureStore({})
    named, plain = complete(store, CustomerApplication.of("C-17", SAMPLE), EXAMPLE)
    assert isinstance(named, Completed)
    assert isinstance(plain, Completed)
    assert named.application == plain.application == EXAMPLE
    assert plain.file is None
    assert named.file is not None
    assert named.file.as_of == {}
    assert store.calls == []


def test_a_batch_is_looked_up_at_once_each_customer_once() -> None:
    store = FakeFeatureStore({"A": on_file(), "B": on_file(income=(1.0, NOW))})
    asked = [CustomerApplication.of(customer, SENT) for customer in "ABAB"]
    found = complete(store, EXAMPLE, *asked)
    assert store.calls == [["A", "B"]]
    incomes = [each.application.income for each in found if isinstance(each, Completed)]
    assert incomes == [0.0, 0.0, 1.0, 0.0, 1.0]


def test_an_unknown_customer_harms_nobody_else() -> None:
    store = FakeFeatureStore({"A": on_file()})
    known, unknown = complete(store, CustomerApplication.of("A", SENT), CustomerApplication.of("nobody@home", SENT))
    assert isinstance(known, Completed)
    assert isinstance(unknown, NotOnFileError)
    assert [(detail["loc"], detail["type"]) for detail in unknown.detail] == [
        (["job"], "not_on_file"),
        (["income"], "not_on_file"),
    ]
    assert b"nobody@home" not in unknown.body


@pytest.mark.parametrize(
    ("field", "days", "what"),
    [
        ("income", 10, "fresh"),
        ("income", 10.1, "too_old_on_file"),
        ("job", 10, "fresh"),
        ("job", 10.1, "stale"),
        ("job", 20, "stale"),
        ("job", 20.1, "too_old_on_file"),
        ("debt", 10, "fresh"),
        ("debt", 10.1, "missing"),
        ("income", None, "not_on_file"),
        ("job", None, "not_on_file"),
        ("debt", None, "missing"),
        ("income", -1, "invalid_on_file"),  # as of tomorrow
        ("debt", -1, "invalid_on_file"),
    ],
)
def test_each_policy_by_the_age_of_a_value(field: str, days: float | None, what: str) -> None:
    changes: dict[str, Any] = {field: None if days is None else days_ago(SAMPLE[field], days)}
    fields = on_file(**changes)
    if what not in ("fresh", "stale", "missing"):
        assert refused(fields) == {field: what}
        return
    whole = completed(fields)
    assert whole.file is not None
    assert whole.file.stale == ((field,) if what == "stale" else ())
    assert whole.file.missing == ((field,) if what == "missing" else ())
    expected = SAMPLE | ({field: None} if what == "missing" else {})
    assert whole.application.model_dump() == expected


@pytest.mark.parametrize("value", ["fixed-term", 3, None, "", ["fixed"]])
def test_a_wrong_value_on_file_is_never_used(value: Any) -> None:
    assert refused(on_file(job=(value, NOW))) == {"job": "invalid_on_file"}


@pytest.mark.parametrize("value", ["3000", -1, 10_000_001, float("nan"), True])
def test_a_wrong_value_is_not_missing(value: Any) -> None:
    assert refused(on_file(debt=(value, NOW))) == {"debt": "invalid_on_file"}


def test_a_file_that_nobody_can_read_refuses() -> None:
    class Broken(FakeFeatureStore):
        async def look_up(self, customers: Any) -> Any:
            return [unpack(b'[[1.0, {"income": 3]]') for _ in customers]

    (found,) = complete(Broken({}), ASKED)
    assert isinstance(found, NotOnFileError)
    assert {detail["type"] for detail in found.detail} == {"invalid_on_file"}


def test_without_the_store_a_field_that_must_not_be_missing_is_unavailable() -> None:
    store = FakeFeatureStore({"C-17": on_file()})
    store.error = StoreError("gone")
    found = complete(store, ASKED, EXAMPLE, CustomerApplication.of("C-17", SAMPLE | {"income": None}))
    assert isinstance(found[0], UnavailableError)
    assert found[0].headers["retry-after"] == "1"
    assert [isinstance(each, Completed) for each in found] == [False, True, True]


def test_without_the_store_a_field_may_be_missing() -> None:
    store = FakeFeatureStore({})
    store.error = StoreError("gone")
    asked = CustomerApplication.of("C-17", {name: value for name, value in SAMPLE.items() if name != "debt"})
    (whole,) = complete(store, asked)
    assert isinstance(whole, Completed)
    assert whole.file is not None
    assert whole.file.missing == ("debt",)


@pytest.mark.parametrize(("lacking", "outcome"), [("job", "stale"), ("debt", "missing"), ("income", UnavailableError)])
def test_what_the_store_said_before_is_at_best_stale(lacking: str, outcome: Any) -> None:
    class Down(FakeFeatureStore):
        async def look_up(self, customers: Any) -> Any:
            return [Profile.of(on_file())._replace(is_current=False) for _ in customers]

    asked = CustomerApplication.of("C-17", {name: value for name, value in SAMPLE.items() if name != lacking})
    (found,) = complete(Down({}), asked)
    if outcome is UnavailableError:
        assert isinstance(found, UnavailableError)
        return
    assert isinstance(found, Completed)
    assert found.file is not None
    assert (found.file.stale, found.file.missing) == (
        (lacking,) if outcome == "stale" else (),
        (lacking,) if outcome == "missing" else (),
    )


def test_what_is_packed_is_unpacked() -> None:
    fields = on_file()
    assert unpack(pack(fields)) == Profile.of(fields)
    assert unpack(None) is None


def decider_of(model: StoredModel, store: FakeFeatureStore, log: Any) -> Decider:
    terms = always(Terms(POLICY, renderer_of(model), RULES))
    completion = Completion(store, clock=lambda: NOW)
    return Decider(model.encoder, InProcessScoring(model), terms, log, completer=completion)


def test_a_decision_without_a_field_that_should_be_on_file_is_maybe_at_best(model: StoredModel) -> None:
    good = SAMPLE | {"seniority": 20, "income": 500.0, "job": "fixed", "debt": 0.0}
    approved = CustomerApplication.of("C-17", good)
    without = CustomerApplication.of("C-17", {name: value for name, value in good.items() if name != "debt"})
    decider = decider_of(model, FakeFeatureStore({"C-17": {}}), FakeLog())
    first, second = asyncio.run(decider.decide([approved, without], [ORIGIN] * 2))
    assert isinstance(first, Decided)
    assert isinstance(second, Decided)
    assert first.status == "APPROVED"
    assert second.status == "MAYBE"
    assert second.reasons[0] == ("P05", None)


def test_a_batch_of_one_request_names_the_position_of_who_is_not_on_file(model: StoredModel) -> None:
    decider = decider_of(model, FakeFeatureStore({"A": on_file()}), log := FakeLog())
    known, unknown = CustomerApplication.of("A", SENT), CustomerApplication.of("B", SENT)
    parts: list[list[Case]] = [[EXAMPLE, known], [EXAMPLE, unknown]]
    with pytest.raises(NotOnFileError) as error:
        asyncio.run(decider.decide_all(parts, ORIGIN))
    assert [detail["loc"] for detail in error.value.detail] == [[3, "job"], [3, "income"]]
    assert "position 3" in str(error.value)
    assert log.decisions == []


def test_the_record_says_what_was_used(model: StoredModel, tmp_path: Path) -> None:
    store = FakeFeatureStore({'C-17 "é"': on_file(job=days_ago("freelance", 15), debt=None)})
    decider = decider_of(model, store, DecisionLog(record_files(tmp_path)))
    asyncio.run(decider.decide([EXAMPLE, CustomerApplication.of('C-17 "é"', SENT)], [ORIGIN] * 2))
    plain, completed = map(DecisionRecord.model_validate_json, lines_of(tmp_path))
    assert plain.on_file is None
    assert "on_file" not in json.loads(lines_of(tmp_path)[0])
    assert completed.application.model_dump() == SAMPLE | {"debt": None}
    assert completed.on_file is not None
    assert completed.on_file.model_dump(mode="json") == {
        "customer": 'C-17 "é"',
        "store": "fake",
        "as_of": {"2026-12-31T08:00:00Z": ["job"], "2027-01-14T08:00:00Z": ["income"]},
        "stale": ["job"],
        "missing": ["debt"],
    }
