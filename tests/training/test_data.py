from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from credit_risk.contract.application import FIELDS
from credit_risk.contract.errors import DataError
from credit_risk.model.table import columns_of
from credit_risk.training.cells import CODES
from credit_risk.training.data import Dataset, load_dataset
from credit_risk.training.layout import Layout
from tests.conftest import PROJECT

HEADER = "Status,Seniority,Home,Time,Age,Marital,Records,Job,Expenses,Income,Assets,Debt,Amount,Price"
GOOD = "1,9,1,60,30,2,1,3,73,129,0,0,800,846"
BAD = "2,10,2,36,46,2,2,3,90,200,3000,0,2000,2985"
# Enough to train on: 60 different applications of each outcome.
GOODS = [GOOD.replace("846", str(900 + number)) for number in range(60)]
BADS = [BAD.replace("2985", str(3000 + number)) for number in range(60)]


def write(folder: Path, *lines: str) -> Path:
    path = folder / "applications.csv"
    path.write_text("\n".join([HEADER, GOOD, BAD, *lines, *GOODS, *BADS]) + "\n")
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(DataError) as refused:
        load_dataset(path)
    return refused.value.problems


def test_codes_are_read_as_words(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path))
    assert dataset.applications[0].model_dump() == {
        "seniority": 9,
        "home": "rent",
        "time": 60,
        "age": 30,
        "marital": "married",
        "records": "no",
        "job": "freelance",
        "expenses": 73,
        "income": 129,
        "assets": 0,
        "debt": 0,
        "amount": 800,
        "price": 846,
    }
    assert dataset.default.tolist() == [0, 1, *[0] * 60, *[1] * 60]
    assert dataset.source == "real"


def test_words_are_read_as_the_codes_are(tmp_path: Path, synthetic: Dataset) -> None:
    source = PROJECT / "data" / "applications.csv"
    decoded = tmp_path / "decoded.csv"
    with source.open() as coded, decoded.open("w") as words:
        reader = csv.DictReader(coded)
        writer = csv.DictWriter(words, [name.lower() for name in reader.fieldnames or []])
        writer.writeheader()
        for row in reader:
            lowered = {name.lower(): cell for name, cell in row.items()}
            lowered |= {field: codes[lowered[field]] for field, codes in CODES.items()}
            writer.writerow({name: "NA" if cell == "99999999" else cell for name, cell in lowered.items()})
    dataset = load_dataset(decoded)
    assert list(dataset.applications) == list(synthetic.applications)
    assert dataset.default.tolist() == synthetic.default.tolist()


def test_the_code_for_missing_is_missing(tmp_path: Path) -> None:
    for code in ("99999999", "99999999.0", "", "NA", "N/A", "None", "null"):
        application = load_dataset(write(tmp_path, f"1,9,1,60,30,2,1,3,73,{code},{code},{code},800,846")).applications[
            2
        ]
        assert (application.income, application.assets, application.debt) == (None, None, None)


def test_a_row_with_unknown_status_is_left_out(tmp_path: Path) -> None:
    assert len(load_dataset(write(tmp_path, GOOD.replace("1", "0", 1)))) == 122


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1,9,1,60,30,2,1,3,73,129,0,0,800", "line 4, column price: the row ends before it"),
        (GOOD + ",1", "line 4, more cells than the header names"),
        ("3" + GOOD[1:], "line 4, column status: must be one of 0 unk, 1 ok, 2 default"),
        ("1,9,8,60,30,2,1,3,73,129,0,0,800,846", "line 4, column home (one of 0 unk, 1 rent, "),
        ("1,nine,1,60,30,2,1,3,73,129,0,0,800,846", "line 4, column seniority: input should be a valid integer"),
        ("1,9,1,60,17,2,1,3,73,129,0,0,800,846", "line 4, column age: input should be greater than or equal to 18"),
        ("1,9,1,60,30,2,1,3,73,129,0,0,0,846", "line 4, column amount: input should be greater than or equal to 1"),
        ("1,9.5,1,60,30,2,1,3,73,129,0,0,800,846", "line 4, column seniority: input should be a valid integer"),
        ("1,9,1,60,30,2,1,3,73,inf,0,0,800,846", "line 4, column income: input should be a finite number"),
        ("1,1_0,1,60,30,2,1,3,73,1,0,0,800,846", "line 4, column seniority: input should be a valid integer"),
        ("1,\u0669,1,60,30,2,1,3,73,1,0,0,800,846", "line 4, column seniority: input should be a valid integer"),
        ("1,99999999,1,60,30,2,1,3,73,1,0,0,800,846", "line 4, column seniority: input should be less than"),
    ],
)
def test_a_malformed_row_is_named_by_line_and_column(tmp_path: Path, row: str, problem: str) -> None:
    [found] = problems(write(tmp_path, row))
    assert found.startswith(problem)


def test_every_malformed_cell_is_counted_and_the_first_twenty_listed(tmp_path: Path) -> None:
    path = write(tmp_path, *["9" + GOOD[1:]] * 30)
    with pytest.raises(DataError, match="30 problems") as refused:
        load_dataset(path)
    assert len(refused.value.problems) == 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lacks the columns status, seniority"),
        (HEADER.replace(",Price", "").encode(), "lacks the column price"),
        (HEADER.encode(), "has 0 different applications with status ok"),
        (f"{HEADER}\n{GOOD}\n".encode(), "needs 50 of each outcome"),
        ("\n".join([HEADER, *GOODS, *[BAD] * 60]).encode(), "has 1 different applications with status default"),
        (HEADER.replace(",", ";").encode(), "separated otherwise: say --separator semicolon"),
        (f"{HEADER},Income\n".encode(), "has the column income more than once"),
        (f'{HEADER}\n"{"x" * 200_000}\n'.encode(), "is not CSV from line 2 on: .* is a quote left open"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "applications.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_dataset(path)


def relabelled(lines: list[str], ok: str, default: str) -> str:
    return "\n".join([HEADER, *({"1": ok, "2": default}[line[0]] + line[1:] for line in lines)]) + "\n"


@pytest.mark.parametrize(("ok", "default"), [("0", "1"), ("good", "BAD"), ("False", "True")])
def test_two_statuses_of_other_names_are_read_if_one_is_named(tmp_path: Path, ok: str, default: str) -> None:
    path = tmp_path / "applications.csv"
    path.write_text(relabelled([*GOODS, *BADS, *GOODS[:3]], ok, default).replace(f"{ok},9", " NA ,9", 1))
    dataset = load_dataset(path, layout=Layout(default_is=default))
    assert dataset.default.tolist() == [*[0] * 59, *[1] * 60, *[0] * 3]
    with pytest.raises(DataError, match="problem") as refused:
        load_dataset(path)
    assert all("name the one for default by --default-is" in problem for problem in refused.value.problems)


def test_a_third_status_beside_a_named_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "applications.csv"
    path.write_text(relabelled([*GOODS, *BADS], "good", "bad").replace("good", "fine", 1))
    with pytest.raises(DataError, match="has 2 statuses beside the one for default; write one for all who paid"):
        load_dataset(path, layout=Layout(default_is="bad"))


@pytest.mark.parametrize(("name", "separator"), [("semicolon", ";"), ("tab", "\t"), ("pipe", "|")])
def test_other_separators_are_read_by_name_and_otherwise_told(tmp_path: Path, name: str, separator: str) -> None:
    path = write(tmp_path)
    plain = load_dataset(path)
    path.write_text(path.read_text().replace(",", separator))
    with pytest.raises(DataError, match=f"separated otherwise: say --separator {name}"):
        load_dataset(path)
    assert load_dataset(path, layout=Layout(separator=name)).applications[:] == plain.applications[:]


def test_a_decimal_comma_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace(",129,", ",129:5,"))
    path.write_text(path.read_text().replace(",", ";").replace(":", ","))
    with pytest.raises(DataError) as refused:
        load_dataset(path, layout=Layout(separator="semicolon"))
    assert refused.value.problems == [
        "line 4, column income: input should be a valid number, with a decimal point instead of a comma"
    ]


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"Branch,{lines[0]},Id", *(f"7,{line},8" for line in lines[1:])]))
    assert load_dataset(path).unused == ("branch", "id")
    assert load_dataset(write(tmp_path)).unused == ()


def test_more_rows_than_are_read_at_once_keep_their_order_and_their_lines(tmp_path: Path) -> None:
    prices = [str(1000 + number % 7919) for number in range(25_000)]
    path = write(tmp_path, *[GOOD.replace("846", price) for price in prices])
    dataset = load_dataset(path)
    assert dataset.columns["price"][2:25_002].astype(int).astype(str).tolist() == prices
    assert [application.price for application in dataset.applications][2:25_002] == list(map(int, prices))
    first: dict[str, int] = {}
    assert dataset.groups[2:25_002].tolist() == [first.setdefault(price, 2 + row) for row, price in enumerate(prices)]
    lines = path.read_text().splitlines()
    lines[20_000] = f'{lines[20_000][: -len(prices[19_997])]}"\n1000"'
    lines[21_000] = lines[21_000].replace("1,9,", "1,-9,")
    path.write_text("\n".join(lines))
    assert problems(path) == ["line 21002, column seniority: input should be greater than or equal to 0"]


def test_applications_are_rows_of_the_table(synthetic: Dataset) -> None:
    applications = synthetic.applications
    assert applications[-1] == applications[len(applications) - 1] == list(applications)[-1]
    assert applications.take(np.array([7, 3]))[:] == [applications[7], applications[3]]
    with pytest.raises(IndexError):
        applications[len(applications)]


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        load_dataset(tmp_path / "nowhere.csv")


def test_columns_hold_every_field_of_every_row(synthetic: Dataset) -> None:
    columns = columns_of(synthetic.applications)
    assert tuple(columns) == FIELDS
    assert {len(column) for column in columns.values()} == {len(synthetic)}
    assert np.isnan(columns["income"]).sum() == sum(a.income is None for a in synthetic.applications) > 0


def test_equal_rows_are_one_group(tmp_path: Path) -> None:
    assert load_dataset(write(tmp_path, BAD, GOOD)).groups.tolist()[:4] == [0, 1, 1, 0]


def test_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    plain = load_dataset(write(tmp_path))
    content = (tmp_path / "applications.csv").read_bytes()
    (tmp_path / "windows.csv").write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert load_dataset(tmp_path / "windows.csv").applications[:] == plain.applications[:]


def test_the_bundled_rows_are_known_as_synthetic(synthetic: Dataset) -> None:
    assert synthetic.source == "synthetic"
    assert len(synthetic) == 4455


def test_the_public_file_is_known_as_real(real_file: Path) -> None:
    dataset = load_dataset(real_file)
    assert (dataset.source, len(dataset)) == ("real", 4454)
    assert load_dataset(real_file, "synthetic").source == "synthetic"
