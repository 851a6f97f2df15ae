"""A sealed log: each line holds the digest of the one before, heads are signed, and what is broken is named."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from credit_risk.contract.errors import DataError, SettingError, UnavailableError
from credit_risk.contract.seal import GENESIS
from credit_risk.record.chain import digest_of, previous_of
from credit_risk.record.seal import FOLDER
from credit_risk.record.signing import SigningKey
from credit_risk.record.verifying import keys_of, verify
from tests.record.sealed_logs import (
    FOREIGN,
    KEY,
    TAMPERING,
    a_record,
    files_in,
    found_in,
    heads_of,
    lines_of,
    seal_of,
    sealed_files,
    tamper,
    write,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three files."""
    folder = tmp_path / "log"
    write(folder, [3, 1, 4, 2, 5, 1])
    assert len(files_in(folder)) == 3
    return folder


def test_each_line_holds_the_digest_of_the_one_before(log: Path) -> None:
    lines = [line for path in files_in(log) for line in lines_of(path)]
    assert [previous_of(line) for line in lines] == [GENESIS, *map(digest_of, lines[:-1])]


def test_what_nobody_has_touched_holds(log: Path) -> None:
    verdict = found_in(log)
    assert verdict.faults == []
    assert verdict.unsigned == 0
    assert [part.is_torn for part in verdict.parts] == [False] * 3


@pytest.mark.parametrize("kind", TAMPERING)
@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done_to_a_line_is_found(log: Path, kind: str, seed: int) -> None:
    path = tamper(log, kind, random.Random(seed))
    told = " ".join(found_in(log).faults)
    assert path.name in told or (not lines_of(path) and "missing" in told)


def test_what_was_done_is_said_with_the_line(log: Path) -> None:
    path = files_in(log)[0]
    whole = lines_of(path)

    def told(lines: list[bytes]) -> str:
        path.write_bytes(b"".join(lines))
        [fault] = verify(path, keys_of([log], [])).faults
        return fault.removeprefix(f"{path}:")

    flipped = whole[2].replace(b"APPROVED", b"DECLINED")
    assert told([*whole[:2], flipped, *whole[3:]]).startswith("3: edited")
    assert told([*whole[:2], *whole[3:]]) == "3: deleted: 1 line is missing ahead of it"
    assert told([*whole[:1], *whole[3:]]) == "2: deleted: 2 lines are missing ahead of it"
    assert told([*whole[:2], whole[3], whole[2], *whole[4:]]) == "3: reordered: it follows line 4"
    assert told([*whole[:2], a_record(9), *whole[2:]]).startswith("3: inserted")
    forged = b'{"schema":2,"previous":"%s"}\n' % digest_of(whole[1]).encode()
    assert told([*whole[:2], forged, *whole[2:]]).startswith("3: inserted")
    assert told(whole[1:]) == "1: the beginning of the file was deleted or edited"


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_file_that_is_missing_is_found(log: Path, which: int) -> None:
    gone = files_in(log)[which]
    gone.unlink()
    told = " ".join(found_in(log).faults)
    assert "missing" in told


def test_an_end_that_was_cut_off_is_found_by_the_heads_elsewhere(log: Path) -> None:
    last = files_in(log)[-1]
    lines = lines_of(last)
    for kept in range(1, len(lines)):
        last.write_bytes(b"".join(lines[:kept]))
        assert verify(log, keys_of([log], [])).faults == []  # nothing beside the log tells
        assert any("cut" in fault for fault in found_in(log).faults)


def test_a_log_that_is_written_anew_with_another_key_is_found(log: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    write(forged, [3, 1, 4, 2, 5, 1], key=FOREIGN)
    faults = verify(forged, keys_of([log], [])).faults
    assert len(faults) == len(files_in(forged))
    assert all("foreign key" in fault for fault in faults)


def test_a_head_that_is_signed_anew_is_found(log: Path) -> None:
    path = files_in(log)[0]
    *lines, head = lines_of(path)
    signature = b'"signature":"'
    start = head.index(signature) + len(signature)
    path.write_bytes(b"".join([*lines, head[:start] + b"0" * 128 + head[start + 128 :]]))
    assert "its signature does not hold" in verify(path, keys_of([log], [])).faults[0]


def test_a_chain_goes_on_after_a_crash_and_the_torn_line_is_no_alarm(log: Path) -> None:
    crashed = sealed_files(log)
    asyncio.run(crashed.append([a_record(1), a_record(2)]))
    crashed._slot.give_back()  # type: ignore[union-attr] # as the system does when a process dies
    torn = files_in(log)[-1]
    torn.write_bytes(torn.read_bytes()[:-20])
    write(log, [2])
    verdict = found_in(log)
    assert verdict.faults == []
    assert [part.path for part in verdict.parts if part.is_torn] == [torn]
    assert len(verdict.chains) == 1


def test_each_who_writes_at_a_time_has_a_chain_of_its_own(tmp_path: Path) -> None:
    logs = [sealed_files(tmp_path / "log") for _ in range(3)]
    for log in logs:
        asyncio.run(log.append([a_record(1)]))
    for log in logs:
        log.close()
    verdict = found_in(tmp_path / "log")
    assert len(verdict.chains) == 3
    assert verdict.faults == []


@pytest.mark.parametrize("taken", [0, 1, 200])
def test_a_full_disk_leaves_a_chain_that_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    folder = tmp_path / "log"
    log, real, is_full = sealed_files(folder), os.write, False

    def some(descriptor: int, data: bytes) -> int:
        if is_full:
            if not taken or len(data) <= taken:
                raise OSError(28, "No space left on device")
            return real(descriptor, bytes(data)[:taken])
        return real(descriptor, data)

    async def fill() -> None:
        nonlocal is_full
        for number in range(12):
            is_full = number % 3 == 0
            try:
                await log.append([a_record(number)] * 3)
            except UnavailableError:
                assert is_full
            else:
                assert not is_full
            if number % 4 == 1:
                await log._sign()
        is_full = False
        log.close()

    monkeypatch.setattr(os, "write", some)
    asyncio.run(fill())
    verdict = found_in(folder)
    assert verdict.faults == []
    assert sum(line.count(b"APPROVED") for path in files_in(folder) for line in lines_of(path)) == 24


def test_a_sync_that_fails_takes_back_lines_that_no_head_elsewhere_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "log"
    log, fsync, fails = sealed_files(folder, fsync="batch", rotate_bytes=2**20), os.fsync, False

    def failing(descriptor: int) -> None:
        if fails:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    async def each() -> None:
        nonlocal fails
        await log.append([a_record(1)])
        fails = True
        with pytest.raises(UnavailableError):
            await log.append([a_record(2)])
        await log._sign()
        fails = False
        await log.append([a_record(3)])
        await log._sign()
        log.close()

    monkeypatch.setattr(os, "fsync", failing)
    asyncio.run(each())
    assert found_in(folder).faults == []
    [path] = files_in(folder)
    assert [b'"number":%d' % number in path.read_bytes() for number in (1, 2, 3)] == [True, False, True]


def test_what_retention_removes_is_no_alarm_and_what_others_remove_is(log: Path) -> None:
    first, second, _ = files_in(log)
    os.utime(first, (0, 0))
    write(log, [1], keep_days=30)
    assert not first.exists()
    assert found_in(log).faults == []
    second.unlink()
    assert any("missing" in fault for fault in found_in(log).faults)


def test_a_file_that_somebody_deletes_while_it_is_written_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = sealed_files(folder)
    asyncio.run(log.append([a_record(1)]))
    files_in(folder)[0].unlink()
    asyncio.run(log.append([a_record(2)]))
    log.close()
    assert "file 1 of its chain is missing" in found_in(folder).faults[0]


def test_another_log_begins_where_the_folder_was_moved_away(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = sealed_files(folder)
    asyncio.run(log.append([a_record(1)]))
    shutil.rmtree(folder)
    heads_of(folder).unlink(missing_ok=True)
    asyncio.run(log.append([a_record(2)]))
    log.close()
    assert [number for part in found_in(folder).parts if part.begin for number in [part.begin.number]] == [1]


def test_logs_without_a_seal_are_told_apart(log: Path) -> None:
    old = log / "decisions-20200101T000000.000000Z-1.ndjson"
    old.write_bytes(a_record(1) * 3)
    verdict = found_in(log)
    assert [(part.path, part.lines) for part in verdict.unsealed] == [(old, 3)]
    assert verdict.faults == []
    stripped = files_in(log)[-1]
    stripped.write_bytes(a_record(1))
    assert "its seal was removed" in " ".join(found_in(log).faults)


def test_a_head_is_written_within_the_seconds_and_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    seal = seal_of(folder)
    log = sealed_files(folder, seal=type(seal)(seal.key, seal.second_place, seconds=0.01))

    async def wait_for_a_head() -> None:
        await log.append([a_record(1)])
        while not heads_of(folder).exists():
            await asyncio.sleep(0.005)
        await log.append([a_record(2)])

    asyncio.run(wait_for_a_head())
    assert found_in(folder).unsigned == 1
    log.close()
    assert found_in(folder).unsigned == 0
    assert len(lines_of(heads_of(folder))) == 2


def test_a_second_place_that_is_full_stops_no_decision(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "log"
    heads_of(folder).mkdir(parents=True)
    log = sealed_files(folder)
    asyncio.run(log.append([a_record(1)]))
    log.close()
    assert "Heads of the decision log can't be written to their second place" in caplog.text
    assert verify(folder, keys_of([folder], [])).faults == []


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    key = SigningKey.load_or_make(path)
    assert path.stat().st_mode & 0o077 == 0
    assert SigningKey.load_or_make(path).fingerprint == SigningKey.load(path).fingerprint == key.fingerprint
    path.chmod(0o644)
    with pytest.raises(SettingError, match=r"others may read the key .* chmod 600"):
        SigningKey.load(path)


def test_what_is_no_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(SettingError, match="can't be read: No such file"):
        SigningKey.load(path)
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(SettingError, match="holds no key that can sign"):
        SigningKey.load(path)
    with pytest.raises(DataError, match="holds no public key"):
        keys_of([], [path])


def test_the_public_half_is_beside_the_log(log: Path) -> None:
    assert [path.name for path in (log / FOLDER).glob("*.pem")] == [f"key-{KEY.fingerprint}.pem"]


def test_a_slot_is_given_back_when_a_log_is_closed(log: Path) -> None:
    time.sleep(0.002)  # names of files tell microseconds apart
    write(log, [1])
    assert {path.name[-8:] for path in files_in(log)} == {"1.ndjson"}
    assert len(found_in(log).chains) == 1
