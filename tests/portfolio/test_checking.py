"""Each row of a file is judged as the service judges a body."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_risk.contract.application import CATEGORIES, FIELDS
from credit_risk.contract.errors import InvalidRequestError
from credit_risk.contract.parsing import parse_application
from credit_risk.model.store import StoredModel
from tests.corpus import BAD, GOOD, SAMPLE
from tests.deciders import POLICY
from tests.portfolio.files import assert_as_the_service, by_the_service, read_csv, run, write

pytestmark = pytest.mark.usefixtures("trained")


def faults_of(body: bytes) -> list[tuple[str, str]]:
    try:
        parse_application(body)
    except InvalidRequestError as error:
        return [(str(detail["loc"][-1]) if detail["loc"] else "", detail["msg"]) for detail in error.detail]
    return []


@pytest.mark.parametrize("extra", [False, True], ids=["as it is", "with a further key"])
def test_ndjson_is_judged_as_the_service_judges_a_body(extra: bool, tmp_path: Path) -> None:
    """Of the bodies that are an object in JSON, on a line, of the contract's fields."""
    bodies = [(body, body) for body in GOOD.values()]
    bodies += [(bad.body, bad.body) for bad in BAD.values() if bad.field in FIELDS]
    lines = [(line, body) for line, body in bodies if b"\n" not in line and len(line) < 4000]
    if extra:
        lines = [(b'{"id": 7, ' + line[1:], body) for line, body in lines if line != b"{}"]
    source, output = tmp_path / "in.ndjson", tmp_path / "out.ndjson"
    source.write_bytes(b"".join(line + b"\n" for line, _ in lines))
    assert run(source, "-o", output).exit_code == 0
    refused = [(row["row"], row["field"], row["fix"]) for row in read_csv(tmp_path / "out.rejects.csv")]
    expected = [(str(n), *fault) for n, (_, body) in enumerate(lines, 1) for fault in faults_of(body)]
    if not extra:  # without one, what the contract does not know is passed through
        expected = [fault for fault in expected if "not a field" not in fault[2]]
    assert refused == expected
    decided = [json.loads(line)["row"] for line in output.read_text().splitlines()]
    assert decided == [n for n, (_, body) in enumerate(lines, 1) if not faults_of(body)]


CELLS = (
    st.sampled_from(["", "0", "-0", "3", "03", "+3", " 3", "3.0", "0.5", "1e2", "1e999", "NA", "nan", "inf", "true"])
    | st.sampled_from(["owner", "Owner", "single", "no", "fixed", 'x","income":5', "a:b", "99999999", "60001"])
    | st.integers(-10, 10**7).map(str)
    | st.floats(0, 10**6).map(repr)
)


CHANGES = st.dictionaries(st.sampled_from(FIELDS), CELLS, max_size=3)


# Few examples of many rows: a run takes half a second, however few its rows are.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(changes=st.lists(CHANGES, min_size=1, max_size=3) | st.lists(CHANGES, min_size=20, max_size=40))
def test_cells_of_csv_are_judged_as_the_json_that_they_would_be(
    changes: list[dict[str, str]], tmp_path: Path, model: StoredModel
) -> None:
    def json_of(cell: str) -> str:
        number = cell[:1] in "-0123456789" and cell.isascii()
        try:
            return cell if cell and number and json.loads(cell) is not None else json.dumps(cell or None)
        except ValueError:
            return json.dumps(cell)

    def body_of(change: dict[str, str]) -> bytes:
        cells = {field: json.dumps(value) for field, value in SAMPLE.items()}
        cells |= {field: json_of(cell) for field, cell in change.items()}
        return ("{" + ",".join(f'"{field}":{cell}' for field, cell in cells.items()) + "}").encode()

    source = write(tmp_path / "in.csv", [SAMPLE | change for change in changes])
    output, rejects = tmp_path / "out.parquet", tmp_path / "out.rejects.csv"
    output.unlink(missing_ok=True)
    run(source, "-o", output)
    refused = [(row["row"], row["field"], row["fix"]) for row in read_csv(rejects)] if rejects.exists() else []
    bodies = [body_of(change) for change in changes]
    assert refused == [(str(n), *fault) for n, body in enumerate(bodies, 1) for fault in faults_of(body)]
    good = [parse_application(body) for body in bodies if not faults_of(body)]
    if good:
        assert_as_the_service(pq.read_table(output).to_pylist(), by_the_service(good, model, POLICY))
    assert output.exists() == bool(good)


def test_parquet_of_other_types_is_read(tmp_path: Path) -> None:
    """Nulls, float for whole numbers (as pandas makes of them), dictionaries; text for a number is refused."""
    rows = [SAMPLE, SAMPLE | {"age": None, "income": None}, SAMPLE | {"time": 7.5}, SAMPLE | {"income": float("nan")}]
    table = pa.table({field: [row[field] for row in rows] for field in FIELDS if field not in ("age", "time")})
    table = table.append_column("age", pa.array([26.0, None, 26.0, 26.0]))
    table = table.append_column("time", pa.array([36.0, 36.0, 7.5, 36.0]))
    table = table.set_column(table.column_names.index("home"), "home", table["home"].dictionary_encode())
    pq.write_table(table, tmp_path / "in.parquet")
    assert run(tmp_path / "in.parquet", "-o", tmp_path / "out.ndjson").exit_code == 0
    refused = [(row["row"], row["field"]) for row in read_csv(tmp_path / "out.rejects.csv")]
    assert refused == [("2", "age"), ("3", "time"), ("4", "income")]
    pq.write_table(pa.table({field: [str(value)] for field, value in SAMPLE.items()}), tmp_path / "in.parquet")
    assert run(tmp_path / "in.parquet", "-o", tmp_path / "none.csv").exit_code == 1
    assert len(read_csv(tmp_path / "none.rejects.csv")) == len(FIELDS) - len(CATEGORIES)


def test_a_row_of_too_few_cells_is_refused_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    lines = write(tmp_path / "in.csv", [{"note": n, **SAMPLE} for n in ("a", "two\nlines", "c", "d", "e")])
    text = lines.read_bytes().replace(b"c,3,", b"3,").replace(b"\nd,", b"\nd,,") + b"short\r\n"
    lines.write_bytes(text)
    result = run(lines, "-o", tmp_path / "out.csv", "--rows-at-once", 1)
    assert "3 rows refused" in result.output
    assert [(row["note"], row["row"]) for row in read_csv(tmp_path / "out.csv")] == [
        *(("a", "1"), ("two\nlines", "2"), ("e", "5"))
    ]
    rejects = read_csv(tmp_path / "out.rejects.csv")
    assert [row["row"] for row in rejects] == ["3", "4", "6"]
    assert rejects[0]["fix"].startswith("has 13 cells where the header names 14")
