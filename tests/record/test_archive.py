"""The archive beside the log: whole or not there, written once, and never something else than it was."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from credit_risk.contract.errors import DataError, SettingError, UnavailableError
from credit_risk.record.archive import Archive, Basis, archived_lines, files_of
from credit_risk.record.files import RecordFiles
from credit_risk.record.stream import RecordStream
from credit_risk.record.writer import archive_at
from tests.deciders import record_files

FORK = multiprocessing.get_context("fork")
MODEL = {Path("model.yaml"): b"name: small\n", Path("report/model-card.html"): b"<p>"}
BASIS = Basis(b'{"cutoffs":1}', b'{"reasons":1}', "small:1", "d" * 64, MODEL)
NEXT = BASIS._replace(policy=b'{"cutoffs":2}')
FILES = {
    f"policies/{sha256(BASIS.policy).hexdigest()}.json": BASIS.policy,
    f"catalogues/{sha256(BASIS.catalogue).hexdigest()}.json": BASIS.catalogue,
} | {f"models/{'d' * 64}/{name}": content for name, content in MODEL.items()}
LINE = b"a record\n"


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(name): content for name, content in files_of(folder).items()}


def append(log: RecordFiles, basis: Basis) -> None:
    asyncio.run(log.append([LINE], basis))


def test_the_name_of_what_is_archived_is_its_sha256(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    archive.keep(BASIS)
    assert content_of(tmp_path / "archive") == FILES
    [policy] = (tmp_path / "archive" / "policies").iterdir()
    assert archive.content_of("policy", policy.stem) == BASIS.policy
    assert archive.content_of("policy", policy.stem[:12]) == BASIS.policy
    assert archive.content_of("catalogue", policy.stem) is None
    assert archive.models() == [archive.model_at("d" * 64)]


def test_what_is_there_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_at(str(tmp_path), BASIS)
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("it was written again"))
    archive_at(str(tmp_path), BASIS)
    append(record_files(tmp_path), BASIS)
    assert content_of(tmp_path / "archive") == FILES


def keep_often(folder: Path) -> None:
    for number in range(20):
        Archive(folder / str(number)).keep(BASIS)


def test_processes_that_archive_the_same_at_once_do_no_harm(tmp_path: Path) -> None:
    processes = [FORK.Process(target=keep_often, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert all(content_of(folder) == FILES for folder in tmp_path.iterdir())


def test_what_could_not_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        with pytest.raises(SettingError, match=r"can't be archived in .*archive: No space left on device; .* or off"):
            archive_at(str(tmp_path), BASIS)
    assert content_of(tmp_path / "archive") == {}
    archive_at(str(tmp_path), BASIS)
    assert content_of(tmp_path / "archive") == FILES


@pytest.mark.parametrize("name", FILES)
def test_what_was_changed_is_not_taken_for_what_decides(tmp_path: Path, name: str) -> None:
    archive_at(str(tmp_path), BASIS)
    changed = tmp_path / "archive" / name
    changed.write_bytes(b"something else")
    with pytest.raises(SettingError, match="was changed; remove it, and it is archived anew"):
        archive_at(str(tmp_path), BASIS)
    if name.endswith(".json"):
        with pytest.raises(DataError, match="was changed: its sha256 is not its name; restore it"):
            Archive(tmp_path / "archive").content_of("policy" if "policies" in name else "catalogue", changed.stem)


def test_what_decides_is_archived_before_the_first_decision_that_names_it(tmp_path: Path) -> None:
    log = record_files(tmp_path)
    append(log, BASIS)
    assert content_of(tmp_path / "archive") == FILES
    append(log, NEXT)
    assert len(list((tmp_path / "archive" / "policies").iterdir())) == 2
    append(log, BASIS)


@pytest.mark.parametrize("size", [1, 2**30])
def test_a_folder_that_was_moved_away_is_followed_by_one_with_an_archive(tmp_path: Path, size: int) -> None:
    folder = tmp_path / "log"
    log = record_files(folder, rotate_bytes=size)
    append(log, BASIS)
    if size == 1:
        folder.rename(tmp_path / "kept")  # the next file is begun in another folder
    else:
        shutil.rmtree(folder)
    append(log, BASIS)
    assert content_of(folder / "archive") == FILES


def test_without_an_archive_nothing_is_on_record(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file where the folder should be")
    log = record_files(tmp_path)
    with pytest.raises(UnavailableError, match="can't be recorded"):
        append(log, BASIS)
    assert not log.is_healthy()
    assert [path.read_bytes() for path in tmp_path.glob("*.ndjson")] == [b""]
    (tmp_path / "archive").unlink()
    assert log.is_healthy()
    append(log, BASIS)
    assert [path.read_bytes() for path in tmp_path.glob("*.ndjson")] == [LINE]


def test_a_stream_tells_what_decides_ahead_of_the_records_and_again_each_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("credit_risk.record.stream.time.time", lambda: now[0])
    path = tmp_path / "stream"
    with path.open("wb") as stream:
        log = RecordStream(stream.fileno())
        for basis, time in ((BASIS, 0), (BASIS, 86_399), (NEXT, 86_399), (NEXT, 86_400)):
            now[0] = time
            asyncio.run(log.append([LINE], basis))
    told, after = archived_lines(BASIS), archived_lines(NEXT)
    assert path.read_bytes().splitlines(keepends=True) == [*told, LINE, LINE, *after, LINE, *after, LINE]
    assert [json.loads(line)["archive"] for line in told] == ["policy", "catalogue", "model"]
    assert json.loads(told[0])["sha256"] == sha256(json.loads(told[0])["content"].encode()).hexdigest()


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    archive_at(str(tmp_path), BASIS)
    [policy] = (tmp_path / "archive" / "policies").iterdir()
    policy.unlink()
    policy.mkdir()
    with pytest.raises(DataError, match=r"\.json can't be read: Is a directory"):
        Archive(tmp_path / "archive").content_of("policy", policy.stem)
