from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.contract.application import EXAMPLE, FIELDS, CreditApplication
from credit_risk.contract.customer import Asked, CustomerApplication, Referenced
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.faults import MAX_BATCH
from credit_risk.contract.parsing import parse_in_parts
from credit_risk.contract.tables import parse_table
from tests.corpus import BAD, GOOD, SAMPLE
from tests.model.test_features import APPLICATIONS
from tests.tables import as_csv, records, split

Write = Callable[[Sequence[CreditApplication], Sequence[str]], bytes]
IN_COLUMNS: tuple[Write, ...] = (split, as_csv)
SECRET = "31417"


def table(body: bytes, on_file: frozenset[str] | None = None) -> list[Asked | Referenced]:
    return [application for part in parse_table(body, on_file) for application in part]


def faults(body: bytes) -> list[Detail]:
    with pytest.raises(InvalidRequestError) as refused:
        table(body)
    assert SECRET not in refused.value.body.decode()
    return refused.value.detail


def split_of(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}).encode()


def csv_of(*rows: Iterable[object]) -> bytes:
    return "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows).encode()


@given(applications=st.lists(APPLICATIONS, max_size=30), columns=st.permutations(FIELDS))
def test_the_three_ways_to_write_a_table_mean_the_same(
    applications: list[CreditApplication], columns: list[str]
) -> None:
    assert table(records(applications)) == applications
    assert table(split(applications, columns)) == applications
    assert table(as_csv(applications, columns)) == applications


@pytest.mark.parametrize("write", [lambda applications, _: records(applications), *IN_COLUMNS])
def test_a_long_table_comes_in_parts(write: Write) -> None:
    parts = list(parse_table(write([EXAMPLE] * MAX_BATCH, FIELDS)))
    assert len(parts) >= 40
    assert [application for part in parts for application in part] == [EXAMPLE] * MAX_BATCH
    with pytest.raises(InvalidRequestError, match="Too many applications"):
        list(parse_table(write([EXAMPLE] * (MAX_BATCH + 1), FIELDS)))


@pytest.mark.parametrize("write", IN_COLUMNS)
def test_whole_numbers_may_have_a_decimal_point(write: Write) -> None:
    body = write([EXAMPLE], FIELDS).replace(b"36", b"36.0").replace(b"1000", b"1e3")
    assert table(body) == [EXAMPLE]


def test_what_pandas_leaves_out_or_adds_is_no_matter() -> None:
    assert table(split_of(SAMPLE)) == [EXAMPLE]  # index=False
    assert table(json.dumps(json.loads(split([EXAMPLE])), indent=2).encode() + b"\n") == [EXAMPLE]
    assert table(split([EXAMPLE]).replace(b'"index":[0]', b'"index":["\\"data\\":[1"]')) == [EXAMPLE]
    assert table(b"\xef\xbb\xbf" + as_csv([EXAMPLE]).replace(b"\n", b"\r\n")) == [EXAMPLE]
    assert table(as_csv([EXAMPLE]).replace(b"owner", b'"owner"') + b"\n") == [EXAMPLE]
    assert [table(write([], FIELDS)) for write in IN_COLUMNS] == [[], []]


ON_FILE = frozenset({"expenses", "debt"})
SENT = {name: value for name, value in SAMPLE.items() if name not in ON_FILE}


@pytest.mark.parametrize("customer", ["a-1", "[b], {c}: ["])
def test_a_table_may_name_customers_and_leave_out_what_is_on_file(customer: str) -> None:
    rows = [{**SENT, "customer": customer}] * 300
    quoted = [{**row, "customer": f'"{customer}"'} for row in rows]
    for body in (json.dumps(rows).encode(), split_of(*rows), csv_of(rows[0], *(row.values() for row in quoted))):
        assert table(body, ON_FILE) == [CustomerApplication.of(customer, SENT)] * 300


def test_customers_are_refused_where_nothing_is_on_file() -> None:
    row = {**SENT, "customer": SECRET}
    for body in (split_of(row), csv_of(row, row.values())):
        assert [fault["loc"] for fault in faults(body)] == [["customer"], ["expenses"], ["debt"]]
    with pytest.raises(InvalidRequestError) as refused:
        table(split_of(SENT), ON_FILE)
    assert [fault["loc"] for fault in refused.value.detail] == [["expenses"], ["debt"]]
    with pytest.raises(InvalidRequestError) as refused:
        table(split_of({**row, "customer": 5}), ON_FILE)
    assert [fault["loc"] for fault in refused.value.detail] == [[0, "customer"]]


VALUES = {
    name: (json.loads(body)[bad.field], bad)
    for name, bad in BAD.items()
    if bad.field in FIELDS and bad.field is not None and ": absent" not in name and "duplicate" not in name
    for body in [bad.body]
    if set(json.loads(body)) == set(FIELDS)
}


@pytest.mark.parametrize("name", VALUES)
def test_a_bad_value_has_the_fault_that_it_has_in_a_batch(name: str) -> None:
    value, bad = VALUES[name]
    with pytest.raises(InvalidRequestError) as refused:
        list(parse_in_parts(b"[" + GOOD["nulls"] + b"," + bad.body + b"]"))
    [expected] = refused.value.detail
    [found] = faults(split_of(SAMPLE, {**SAMPLE, str(bad.field): value}))
    assert (found["loc"], found["msg"].split(",")[0]) == (expected["loc"], expected["msg"].split(",")[0])
    assert faults(b"[" + GOOD["nulls"] + b"," + bad.body + b"]") == [expected]


@pytest.mark.parametrize(
    ("field", "cell", "fix"),
    [
        ("income", "nan", "or an empty cell if it is unknown"),
        ("income", " 1", "must be a number from 0 to 100000"),
        ("income", "1_000", "must be a number"),
        ("income", "0x1F", "must be a number"),
        ("income", "inf", "must be a number"),
        ("income", "+1", "must be a number"),
        ("income", "٣", "must be a number"),
        ("income", "9" * 400, "must be a number"),
        ("income", "99999999", "a missing value is an empty cell here"),
        ("income", "null", "must be a number"),
        ("time", "", "must be a whole number from 1 to 120"),
        ("time", "36.5", "must be a whole number from 1 to 120"),
        ("time", SECRET, "must be a whole number from 1 to 120"),
        ("home", "", "must be exactly one of rent, owner"),
        ("home", " owner", "must be exactly one of rent, owner"),
        ("records", SECRET, "must be exactly one of no, yes"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_field(field: str, cell: str, fix: str) -> None:
    [fault] = faults(csv_of(FIELDS, SAMPLE.values(), {**SAMPLE, field: cell}.values()))
    assert fault["loc"] == [1, field]
    assert fix in fault["msg"]


def test_a_fault_in_a_late_part_has_its_position_in_the_whole() -> None:
    rows = [SAMPLE] * 1000 + [{**SAMPLE, "income": SECRET + "x"}]
    assert faults(split_of(*rows))[0]["loc"] == [1000, "income"]
    assert faults(csv_of(FIELDS, *(row.values() for row in rows)))[0]["loc"] == [1000, "income"]


@pytest.mark.parametrize("write", IN_COLUMNS)
def test_columns_are_refused_by_name_once(write: Write) -> None:
    columns = ["home", *FIELDS[:-1]]
    found = faults(write([EXAMPLE] * 500, columns))
    assert [(fault["loc"], fault["type"]) for fault in found] == [(["home"], "duplicate_key"), (["price"], "missing")]
    [found_extra] = faults(write([EXAMPLE] * 500, FIELDS).replace(b"income", b"Income", 1))[:1]
    assert (found_extra["loc"], found_extra["type"]) == (["Income"], "extra_forbidden")
    assert "send it as income" in found_extra["msg"]


def test_an_index_in_csv_is_refused_with_its_fix() -> None:
    [fault] = faults(csv_of(["", *FIELDS], [0, *SAMPLE.values()]))
    assert (fault["loc"], "index=False" in fault["msg"]) == ([""], True)


def test_many_unknown_columns_are_told_in_short() -> None:
    names = [f"column {number}" for number in range(100_000)]
    [fault] = faults(json.dumps({"columns": [*FIELDS, *names], "data": []}).encode())
    assert "has 100013 columns" in fault["msg"]
    assert len(faults(csv_of([*FIELDS, *names[:50]]))) == 50


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"{}", "send a table as pandas writes it"),
        (b"5", "the columns must be"),
        (GOOD["nulls"], "send a table as pandas writes it"),
        (b'{"a":{"0":1}}', "send a table as pandas writes it"),
        (b'{"columns":', "not valid JSON (EOF while parsing"),
        (split([EXAMPLE])[:-1], "not valid JSON (EOF while parsing"),
        (split([EXAMPLE])[:-3], "not valid JSON (EOF while parsing"),
        (split([EXAMPLE]).replace(b'"owner"', b"owner"), "not valid JSON (expected value at line 1 column"),
        (b'{"data":[],"columns":["home"]}', "columns, then data"),
        (split([EXAMPLE])[:-1] + b',"index":[1]}', "columns, then data"),
        (split([EXAMPLE])[:-1] + b',"data":[]}', "columns, then data"),
        (b'{"columns":["home"],' + split([EXAMPLE])[1:], "columns is given more than once"),
        (b'{"schema":{},' + split([EXAMPLE])[1:], "columns, then data"),
        (b'{"columns":[["a","b"]],"data":[]}', "columns, then data"),
        (split([EXAMPLE]).replace(b'"data":[[', b'"data":[5,['), "send each row of data as an array of cells"),
        (split([EXAMPLE]).replace(b'"data":[[', b'"data":[[1],['), "has 1 cells; send 13, one for each column"),
        (b'{"columns":' + b"[" * 50_000, "not valid JSON"),
        (csv_of(SAMPLE.values(), SAMPLE.values()), "CSV names them in its first line"),
        (as_csv([EXAMPLE]).replace(b",", b";"), "separated by commas"),
        (as_csv([EXAMPLE] * 100).replace(b"\n", b""), "keep the ends of lines"),
        (as_csv([EXAMPLE]) + b"1,2\n", "has 2 cells; send 13, one for each column"),
        (as_csv([EXAMPLE]).replace(b"owner", b'"owner'), "what ends in line 2 is not CSV"),
        (as_csv([EXAMPLE]).replace(b"owner", b"owner\xe9"), "send CSV in UTF-8"),
        (as_csv([EXAMPLE]).decode().encode("utf-16"), "send CSV in UTF-8"),
        (as_csv([EXAMPLE]).replace(b"owner", b"x" * 200_000), "is not CSV: field larger than field limit"),
        (as_csv([EXAMPLE]) + b"," * 1_000_000, "and nothing else"),
        (as_csv([EXAMPLE]) + b"\n" * 1_000_000, "send at most 10000 applications"),
        (b"\xef\xbb\xbf", "the columns must be"),
    ],
)
def test_what_is_no_table_is_refused_with_its_fix(body: bytes, fix: str) -> None:
    [fault] = faults(body)
    assert fix in fault["msg"]
