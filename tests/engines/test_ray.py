"""A folder on Ray: the decisions and rejects of its files one by one, complete or absent."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from tests.corpus import SAMPLE
from tests.engines.conftest import Bucket, Engine, end
from tests.portfolio.files import read_csv, run, write

FILES = 6


def fill(folder: Path, kind: str, rows: int = 40) -> Path:
    """Files of which the second has faults and the fourth nothing else; and others that don't count."""
    for number in range(FILES):
        some: list[dict[str, Any]] = [
            {"id": f"{number}-{row}", **SAMPLE, "amount": 100 + 20 * row, "price": 2000 + number} for row in range(rows)
        ]
        if number == 1:
            some[3]["age"] = 31417
        for row in some if number == 3 else []:
            row["time"] = 7.5
        (folder / f"year={number % 2}").mkdir(parents=True, exist_ok=True)
        file = write(folder / f"year={number % 2}" / f"{number}{kind}", some)
        if number == 2 and kind == ".csv":
            file.write_text(file.read_text() + "short\n")
    (folder / "_SUCCESS").touch()
    (folder / ".hidden").touch()
    return folder


def one_by_one(folder: Path, kind: str, scratch: Path) -> tuple[list[Any], list[Any]]:
    """What the command makes of each file by itself."""
    decisions: list[Any] = []
    rejects: list[Any] = []
    for file in sorted(folder.rglob(f"*{kind}")):
        name, output = str(file.relative_to(folder)), scratch / f"{file.stem}.parquet"
        run(file, "-o", output, "--workers", 1)
        if output.exists():
            decisions += [row | {"file": name} for row in pq.read_table(output).to_pylist()]
        refused = output.with_name(f"{file.stem}.rejects.csv")
        rejects += [row | {"file": name} for row in read_csv(refused)] if refused.exists() else []
    return decisions, rejects


def rows_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    """All rows of a folder, in the order of its files."""
    rows: list[dict[str, Any]] = []
    for file in sorted(folder.glob(f"*{kind}")):
        if kind == ".parquet":
            rows += pq.ParquetFile(file).read().to_pylist()
        elif kind == ".ndjson":
            rows += map(json.loads, file.read_text().splitlines())
        else:
            rows += read_csv(file)
    return rows


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["file"], int(row["row"])))


def as_cells(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """As they are in CSV."""
    joined = [{k: "; ".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in joined]


@pytest.mark.parametrize(("kind", "output"), [(".csv", ".parquet"), (".ndjson", ".csv"), (".parquet", ".ndjson")])
def test_a_cluster_decides_a_folder_as_this_machine_decides_its_files(
    kind: str, output: str, python: Path, cluster: str, tmp_path: Path
) -> None:
    folder, target = fill(tmp_path / "in", kind), tmp_path / f"out{output}"
    status, said = Engine(python).run(folder, "-o", target, "--address", cluster, "--rows-at-once", 7)
    assert status == 0, said
    decisions, rejects = one_by_one(folder, kind, tmp_path)
    assert len(said.splitlines()) == 1
    assert said.startswith(f"{len(decisions)} applications decided: ")
    found = rows_of(target, output)
    assert in_order(found) == in_order(as_cells(decisions) if output == ".csv" else decisions)
    assert in_order(rows_of(tmp_path / "out.rejects.csv", ".csv")) == in_order(rejects)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"in", f"out{output}", "out.rejects.csv"}
    assert sorted(path.name for path in target.iterdir()) == [
        "_SUCCESS",
        *(f"part-{number:05}{output}" for number in range(FILES) if number != 4),  # 3 is the fifth by name
    ]


def test_a_cluster_reads_and_writes_s3(python: Path, cluster: str, bucket: Bucket, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", ".csv")
    pafs.copy_files(str(folder), "bucket/in", destination_filesystem=bucket.filesystem)
    engine = Engine(python, {"AWS_ENDPOINT_URL": bucket.endpoint})
    target = "s3://bucket/out.parquet"
    status, said = engine.run("s3://bucket/in/", "-o", target, "--address", cluster)
    assert status == 0, said
    assert "s3://bucket/out.rejects.csv names their faults" in said
    for name in ("out.parquet", "out.rejects.csv"):
        (tmp_path / name).mkdir()
        pafs.copy_files(f"bucket/{name}", str(tmp_path / name), source_filesystem=bucket.filesystem)
        assert (tmp_path / name / "_SUCCESS").exists()
    decisions, rejects = one_by_one(folder, ".csv", tmp_path)
    assert in_order(rows_of(tmp_path / "out.parquet", ".parquet")) == in_order(decisions)
    assert in_order(rows_of(tmp_path / "out.rejects.csv", ".csv")) == in_order(rejects)
    status, said = engine.run("s3://bucket/in", "-o", target, "--address", cluster)
    assert (status, said) == (1, f"Error: {target} is there already; remove it, or name another\n")
    status, said = engine.run("s3://bucket/in", "-o", "s3://bucket/strict", "--address", cluster, "--strict")
    assert status == 1
    assert "put right the" in said
    left = bucket.filesystem.get_file_info(pafs.FileSelector("bucket", recursive=True))
    assert not [info.path for info in left if info.path.startswith("bucket/strict/")]
    assert "bucket/strict.rejects.csv/_SUCCESS" in {info.path for info in left}


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def busy(process: psutil.Process) -> list[psutil.Process]:
    """Ray's workers that decide."""
    return [each for each in process.children(recursive=True) if "_Worker" in " ".join(each.cmdline())]


def test_what_a_dead_worker_had_begun_is_done_again(python: Path, tmp_path: Path) -> None:
    folder, target = fill(tmp_path / "in", ".csv", rows=2000), tmp_path / "out.parquet"
    process = Engine(python).start(folder, "-o", target, "--workers", 2, "--rows-at-once", 20)
    try:
        until(lambda: process.poll() is not None or list(tmp_path.glob(".out.parquet.*/part-*")))
        workers = busy(psutil.Process(process.pid))
        assert len(workers) == 2
        workers[0].kill()
        said, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            end(psutil.Process(process.pid))
    assert process.returncode == 0, said
    decisions, rejects = one_by_one(folder, ".csv", tmp_path)
    assert in_order(rows_of(target, ".parquet")) == in_order(decisions)
    assert in_order(rows_of(tmp_path / "out.rejects.csv", ".csv")) == in_order(rejects)
    assert not list(target.glob(".*"))


def test_ended_by_a_signal_it_leaves_nothing_behind(python: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", ".csv", rows=2000)
    process = Engine(python).start(folder, "-o", tmp_path / "out.csv", "--workers", 2, "--rows-at-once", 5)
    try:
        until(lambda: process.poll() is not None or list(tmp_path.glob(".out.csv.*/.part-*")))
        its = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        psutil.wait_procs(its, timeout=30)
        assert not [each for each in its if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    finally:
        if process.poll() is None:
            end(psutil.Process(process.pid))
        process.communicate()
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_broken_file_is_named_in_a_sentence_and_nothing_is_left(python: Path, cluster: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", ".ndjson")
    (folder / "year=0" / "broken.ndjson").write_text(json.dumps(SAMPLE) + "\n{secret\n")
    status, said = Engine(python).run(folder, "-o", tmp_path / "out", "--address", cluster)
    assert status == 1
    assert said.startswith(f"Error: line 2 of {folder}/year=0/broken.ndjson is not JSON")
    assert len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
