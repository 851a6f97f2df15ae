"""One decision is found in a log, and files that can't hold it are not read."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.contract.errors import DataError
from credit_risk.jobs.ids import decision_id
from credit_risk.record.finding import Line, entry_of, find_decision, likely_files, log_files, seconds_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
LATER = NOON + 30 * DAY


def id_at(time: datetime, number: int = 0) -> str:
    """An id as it is made at this time."""
    return str(UUID(int=int(time.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | number))


def line_of(decision: str) -> bytes:
    return b'{"schema":2,"decision_id":"%b","time":"..."}\n' % decision.encode()


SOUGHT = id_at(NOON)


def begun(folder: Path, time: datetime, writer: str, *ids: str, written: datetime = LATER) -> Path:
    """A file of a log with these decisions, or without any one that can't be read."""
    file = folder / f"decisions-{time:%Y%m%dT%H%M%S.%fZ}-{writer}.ndjson"
    if ids:
        file.write_bytes(b"".join(map(line_of, ids)))
    else:
        file.mkdir()
    os.utime(file, (written.timestamp(),) * 2)
    return file


def found(folder: Path, decision: str = SOUGHT) -> Line | None:
    """What is found in the files that should hold the decision."""
    return find_decision(likely_files(log_files([str(folder)]), decision), decision)


def place_of(line: Line | None) -> tuple[Path, int]:
    assert line is not None
    return line.file, line.number


def test_an_id_tells_its_time() -> None:
    assert seconds_of(SOUGHT) == NOON.timestamp()
    with pytest.raises(ValueError, match="version 4"):
        seconds_of("0b9e4a0c-3d5c-4f0e-9d4e-0a3c1c8f7b11")


def test_only_files_that_can_hold_it_are_read(tmp_path: Path) -> None:
    """All others are folders, which can't be read as files."""
    for writer in ("w1", "w2", "4711"):
        for days in (-3, -2, 1, 2):
            begun(tmp_path, NOON + days * DAY, writer)
    begun(tmp_path, NOON - DAY, "4712", written=NOON - 23 * MINUTE)  # a process that ended before
    begun(tmp_path, NOON, f"{id_at(NOON + MINUTE)}-000000")  # of a job of another time
    begun(tmp_path, NOON - MINUTE, f"{id_at(NOON - MINUTE)}-000000")
    begun(tmp_path, NOON + 6 * MINUTE, "w1")
    begun(tmp_path, NOON - MINUTE, "w1", id_at(NOON))
    begun(tmp_path, NOON - 2 * MINUTE, "w2", id_at(NOON, 2))
    begun(tmp_path, NOON - DAY, "4711", id_at(NOON, 3))
    begun(tmp_path, NOON + 4 * MINUTE, "w1", id_at(NOON, 4))
    for number, writer in ((0, "w1"), (2, "w2"), (3, "4711"), (4, "w1")):
        file, line = place_of(found(tmp_path, id_at(NOON, number)))
        assert file.name.endswith(f"-{writer}.ndjson")
        assert line == 1
    assert found(tmp_path, id_at(NOON, 5)) is None


def test_what_can_hold_it_and_can_not_be_read_is_named(tmp_path: Path) -> None:
    file = begun(tmp_path, NOON - MINUTE, "w1")
    with pytest.raises(DataError, match=rf"{file} can't be read: Is a directory"):
        found(tmp_path)


@pytest.mark.parametrize("writer", ["w1", "4711"])
@pytest.mark.parametrize("after", [timedelta(microseconds=500), timedelta(seconds=10), 4 * MINUTE])
def test_a_decision_that_was_written_after_a_rotation_is_found(tmp_path: Path, writer: str, after: timedelta) -> None:
    begun(tmp_path, NOON - MINUTE, writer, id_at(NOON, 1), written=NOON)
    file = begun(tmp_path, NOON + after, writer, id_at(NOON, 2), SOUGHT)
    assert place_of(found(tmp_path)) == (file, 2)


def test_a_decision_of_a_process_that_was_replaced_is_found(tmp_path: Path) -> None:
    file = begun(tmp_path, NOON - 9 * MINUTE, "4711", SOUGHT, written=NOON + MINUTE)
    begun(tmp_path, NOON - MINUTE, "4712", id_at(NOON, 1))
    assert place_of(found(tmp_path)) == (file, 1)


def test_a_decision_of_a_job_is_found_in_its_chunk_alone(tmp_path: Path) -> None:
    """However long the job had to wait."""
    job, other = id_at(NOON, 77), id_at(NOON + MINUTE, 77)
    begun(tmp_path, NOON + DAY, "w1")
    files = [begun(tmp_path, NOON, f"{job}-{n:06}", *(decision_id(job, 10 * n + i) for i in range(10))) for n in (0, 1)]
    begun(tmp_path, NOON + MINUTE, f"{other}-000000")
    assert place_of(found(tmp_path, decision_id(job, 0))) == (files[0], 1)
    assert place_of(found(tmp_path, decision_id(job, 13))) == (files[1], 4)
    assert found(tmp_path, decision_id(job, 20)) is None


def test_a_file_that_tells_no_time_is_read_last(tmp_path: Path) -> None:
    undated = tmp_path / "decisions-1.ndjson"
    impossible = tmp_path / "decisions-20269921T120000.000000Z-w1.ndjson"
    for file in (undated, impossible):
        file.write_bytes(line_of(SOUGHT))
    dated = begun(tmp_path, NOON, "w1", id_at(NOON, 1))
    assert likely_files([undated, impossible, dated], SOUGHT) == [dated, undated, impossible]
    assert place_of(found(tmp_path)) == (undated, 1)


def test_a_file_that_was_just_removed_holds_nothing(tmp_path: Path) -> None:
    assert find_decision([tmp_path / "gone.ndjson"], SOUGHT) is None


@given(
    lines=st.lists(st.sampled_from([b"\n", b'{"torn', b"\xff\x00", *(line_of(id_at(NOON, n)) for n in (1, 2))])),
    sought=st.sampled_from([b"", b'{"garbled":']),
    end=st.sampled_from([b"", b"\n"]),
    after=st.sampled_from([b"", b"more\n"]),
)
def test_the_line_around_it_is_found(
    lines: list[bytes], sought: bytes, end: bytes, after: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
    line = sought + line_of(SOUGHT).rstrip() + end
    file = tmp_path_factory.mktemp("log") / "decisions-1.ndjson"
    file.write_bytes(before + line + (after if end else b""))
    assert find_decision([file], SOUGHT) == Line(file, len(lines) + 1, line)
    file.write_bytes(before)
    assert find_decision([file], SOUGHT) is None


def test_an_id_within_a_text_of_the_caller_is_not_the_decision(tmp_path: Path) -> None:
    file = tmp_path / "decisions-1.ndjson"
    file.write_bytes(b'{"request_id":"\\"decision_id\\":\\"%b\\""}\n' % SOUGHT.encode() + line_of(SOUGHT))
    assert place_of(find_decision([file], SOUGHT)) == (file, 2)


def test_a_torn_or_garbled_line_of_the_decision_is_named(tmp_path: Path) -> None:
    file = tmp_path / "decisions-1.ndjson"
    file.write_bytes(b"\n" + line_of(SOUGHT)[:-5])
    for fault in ("has this decision, but the line is torn", "is not a decision record: the line: Invalid JSON"):
        line = found(file)
        assert line is not None
        with pytest.raises(DataError, match=rf"decisions-1\.ndjson:2 {fault}"):
            entry_of(line)
        file.write_bytes(file.read_bytes() + b"\n")


def test_standard_input_is_not_looked_into() -> None:
    with pytest.raises(DataError, match="save what comes from standard input"):
        log_files(["-"])
