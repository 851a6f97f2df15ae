"""Folders are read and written as a whole, whatever engine works on their files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from credit_risk.contract.errors import DataError
from credit_risk.portfolio.folder import DONE, parts_of, target_at
from tests.corpus import SAMPLE
from tests.portfolio.files import run, write

ROWS = {"row": [1], "field": ["age"], "fix": ["x"]}


def test_files_come_in_the_order_of_their_names_and_hidden_ones_do_not(tmp_path: Path) -> None:
    for name in ("b/2.csv", "a.csv", "b/1.csv", "_SUCCESS", "_metadata/x.csv", ".a.csv.crc", "b/.x.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    parts = parts_of(str(tmp_path))
    assert [(part.number, part.name) for part in parts] == [(0, "a.csv"), (1, "b/1.csv"), (2, "b/2.csv")]
    assert [part.file for part in parts_of(str(tmp_path / "a.csv"))] == [tmp_path / "a.csv"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ((), "holds no file"),
        (("a.csv", "b.parquet"), "holds files of the kinds .csv, .parquet"),
        (("a.txt",), "holds files of the kinds .txt"),
    ],
)
def test_a_folder_of_other_files_is_refused(files: tuple[str, ...], told: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=told):
        parts_of(str(tmp_path))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"can't be read: No such file"):
        parts_of(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"can't be written: No such file"):
        target_at(str(tmp_path / "nowhere" / "out"))


def fail_at_the_end(place: Path) -> None:
    with target_at(str(place)) as target:
        target.whole = True
        raise ZeroDivisionError


def test_a_target_is_complete_or_absent(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with target_at(str(place)) as target:
        for whole in (False, True, True):  # a worker that fails, one that does it again, and another that was slow
            with target.open("part-0.csv") as output:
                output.write(ROWS)
                output.whole = whole
        left = target.open("part-1.csv")  # by a worker that was killed
        assert not place.exists()
        target.whole = True
    assert sorted(path.name for path in place.iterdir()) == [DONE, "part-0.csv"]
    assert (place / "part-0.csv").read_text() == "row,field,fix\n1,age,x\n"
    left._file.close()
    with pytest.raises(DataError, match="is there already"):
        target_at(str(place))
    with pytest.raises(ZeroDivisionError):
        fail_at_the_end(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-o", "out.csv"), "add --engine ray for folders"),
        (("-o", "s3://bucket/out"), "add --engine ray for folders"),
        (("-o", "out", "--address", "ray://host:1"), "add --engine ray"),
        (("-o", "out", "--engine", "ray", "--decision-log", "log"), "--decision-log needs --engine local"),
        (("-o", "out", "--engine", "ray", "--rejects", "out"), "must be three different folders"),
        pytest.param(
            ("-o", "out", "--engine", "ray"),
            "--engine ray needs ray, which is not installed here; install requirements-ray.txt",
            marks=pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed"),
        ),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    options: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "1.csv", [SAMPLE])
    monkeypatch.chdir(tmp_path)
    result = run("in", *options, "--policy", str(Path(__file__).parents[2] / "policy.yaml"))
    assert result.exit_code in (1, 2)
    assert told in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
