"""The features file: which fields are on file, and what happens without a fresh value."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_risk.contract.errors import FeaturesError
from credit_risk.contract.on_file import FieldsOnFile, load_fields_on_file
from tests.conftest import PROJECT


def load(tmp_path: Path, fields: str) -> FieldsOnFile:
    path = tmp_path / "features.yaml"
    path.write_text(f"fields:\n  {fields}\n")
    return load_fields_on_file(path)


def test_the_projects_own_file_is_valid() -> None:
    on_file = load_fields_on_file(PROJECT / "features.yaml")
    assert {field.otherwise for field in on_file.fields.values()} == {"refuse", "stale", "missing"}
    assert not on_file.names & {"time", "amount", "price"}  # those are what is asked for


@pytest.mark.parametrize(("age", "seconds"), [("45s", 45), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000)])
def test_ages_have_units(tmp_path: Path, age: str, seconds: int) -> None:
    on_file = load(tmp_path, f"income: {{max_age: {age}, otherwise: refuse}}")
    assert on_file.fields["income"].max_age == seconds


def test_workers_read_what_the_parent_has_read(tmp_path: Path) -> None:
    on_file = load(tmp_path, "income: {max_age: 90d, otherwise: stale, stale_up_to: 1000d}")
    assert FieldsOnFile.model_validate_json(on_file.model_dump_json()) == on_file


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("income: {max_age: 90, otherwise: refuse}", "such as 90d"),
        ("income: {max_age: 0d, otherwise: refuse}", "greater than 0"),
        ("income: {max_age: 1w, otherwise: refuse}", "such as 90d"),
        ("income: {max_age: 1d, otherwise: guess}", "'refuse', 'stale' or 'missing'"),
        ("income: {max_age: 1d, otherwise: stale}", "needs stale_up_to"),
        ("income: {max_age: 1d, otherwise: refuse, stale_up_to: 2d}", "nothing else takes it"),
        ("income: {max_age: 2d, otherwise: stale, stale_up_to: 1d}", "must not be less"),
        ("job: {max_age: 2d, otherwise: missing}", "job can't be missing; only income, assets, debt"),
        ("salary: {max_age: 2d, otherwise: refuse}", "is no field of an application"),
        ("income: {max_age: 2d, otherwise: refuse, maximum: 1}", "not permitted"),
        ("{}", "fields"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(tmp_path: Path, fields: str, fault: str) -> None:
    with pytest.raises(FeaturesError, match=fault) as refused:
        load(tmp_path, fields)
    assert str(tmp_path / "features.yaml") in str(refused.value)
    assert "\n" not in str(refused.value)
