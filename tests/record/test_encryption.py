"""What is personal on record is encrypted with a key of its own, and can be read with it alone."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.errors import DataError, UnavailableError
from credit_risk.contract.record import DecisionRecord, ImpersonalRecord
from credit_risk.deciding.completion import File
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.log import DecisionLog
from credit_risk.model.store import StoredModel
from credit_risk.record.encryption import KeyLine, decrypt, encrypt, name_of
from credit_risk.record.erasing import erase, key_files, keys_of_decision, keys_of_reference
from credit_risk.record.keys import Keys
from credit_risk.record.reader import LogReader
from tests.deciders import decide, decider_of, record_files
from tests.record.sealed_logs import found_in, seal_of
from tests.records import decision_lines

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(['","on_file":', ',"reference":"A', '"}\n'])


@pytest.fixture(scope="module")
def decided(model: StoredModel) -> Decided:
    [decided] = decide(decider_of(model), [EXAMPLE])
    return decided


@given(
    request=TEXT,
    reference=st.none() | TEXT,
    file=st.none() | st.builds(File, TEXT, TEXT, st.just({0.0: ["income"]}), st.just(("income",)), st.just(())),
    scored_by=st.none() | st.just("v2+http://[::1]:8080/v2/models/m"),
)
def test_a_record_can_be_read_with_its_key_as_it_was(
    decided: Decided, request: str, reference: str | None, file: File | None, scored_by: str | None
) -> None:
    changed = decided._replace(origin=Origin(request, "branch", reference), file=file, scored_by=scored_by)
    line = decided.renderer.record(changed)
    [encrypted], keys = encrypt([line])
    assert encrypted.count(b"\n") == keys.count(b"\n") == 1
    key = KeyLine.parse(keys)
    assert key is not None
    assert key.decision_id.decode() == decided.decision_id
    assert key.key is not None
    opened = decrypt(encrypted, key.key)
    assert opened is not None
    assert json.loads(opened) == json.loads(line)
    assert DecisionRecord.model_validate_json(opened) == DecisionRecord.model_validate_json(line)
    left = ImpersonalRecord.model_validate_json(encrypted)
    assert left.request_id == request
    personal = json.loads(line)
    for field in ("application", "application_sha256", "features", "on_file", "reference"):
        assert field not in json.loads(encrypted)
        personal.pop(field, None)
    assert personal == {name: value for name, value in json.loads(encrypted).items() if name != "encrypted"}
    assert decrypt(encrypted, bytes(32)) is None
    moved = encrypted.replace(decided.decision_id.encode(), decided.decision_id[::-1].encode())
    assert decrypt(moved, key.key) is None


@given(garbled=st.binary(max_size=200))
def test_what_is_no_key_is_none(garbled: bytes) -> None:
    KeyLine.parse(garbled)
    decrypt(b'{"schema":2,"decision_id":"1","encrypted":"%b"}\n' % garbled.replace(b'"', b""), bytes(32))


def written(folder: Path, model: StoredModel, *references: str | None, **changes: object) -> list[Decided]:
    """Decide an application for each reference, with the decisions encrypted on record in a sealed log."""
    decisions = decide(decider_of(model), [EXAMPLE] * len(references))
    pairs = zip(decisions, references, strict=True)
    decisions = [each._replace(origin=Origin("a request", None, reference)) for each, reference in pairs]

    async def append() -> None:
        log = DecisionLog(record_files(folder, **({"seal": seal_of(folder)} | changes)), encrypts=True)
        await log.append(decisions)
        log.close()

    asyncio.run(append())
    return decisions


def read(folder: Path) -> tuple[list[str | None], Keys]:
    """The references of decisions that can be read, and what is known of the others."""
    reader = LogReader([str(folder)], lenient=False)
    return [entry.record.reference for entry in reader.entries()], reader.keys


def test_erased_decisions_are_unreadable_and_the_seal_holds(model: StoredModel, tmp_path: Path) -> None:
    log = tmp_path / "log"
    decisions = written(log, model, "A-1", "A-2", None, "A-1", fsync="batch")
    assert read(log)[0] == ["A-1", "A-2", None, "A-1"]
    assert b"A-1" not in b"".join(decision_lines(log))
    [keys] = key_files([log])
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    found = keys_of_reference([keys], "A-1")
    assert [key.decision_id.decode() for key in found] == [decisions[0].decision_id, decisions[3].decision_id]
    before = keys.read_bytes()
    erase(found)
    left, unread = read(log)
    assert left == ["A-2", None]
    assert (unread.erased, unread.lost) == (2, {})
    assert name_of("A-1") not in keys.read_bytes()
    assert len(keys.read_bytes()) == len(before)
    assert keys.read_bytes().splitlines()[1:3] == before.splitlines()[1:3]
    assert keys_of_reference([keys], "A-1") == []
    erase(keys_of_decision([keys], decisions[2].decision_id))
    assert read(log)[0] == ["A-2"]
    assert found_in(log).faults == []


def test_erasing_beside_a_service_that_writes_on(model: StoredModel, tmp_path: Path) -> None:
    log = DecisionLog(record_files(tmp_path), encrypts=True)
    [first, second] = (
        each._replace(origin=Origin("r", None, "A")) for each in decide(decider_of(model), [EXAMPLE] * 2)
    )

    async def write() -> None:
        await log.append([first])
        erase(keys_of_reference(key_files([tmp_path]), "A"))
        await log.append([second])

    asyncio.run(write())
    left, unread = read(tmp_path)
    assert (left, unread.erased) == (["A"], 1)
    erase(keys_of_reference(key_files([tmp_path]), "A"))
    assert read(tmp_path)[1].erased == 2
    log.close()


def test_lost_garbled_and_open_keys_are_told(model: StoredModel, tmp_path: Path) -> None:
    written(tmp_path, model, "A", "B", seal=None)
    [file], [keys] = tmp_path.glob("*.ndjson"), key_files([tmp_path])
    content = keys.read_bytes()
    keys.write_bytes(b"\0" * 40 + content[40:-70])
    left, unread = read(tmp_path)
    assert (left, unread.erased, unread.lost) == ([], 0, {str(file): 2})
    keys.write_bytes(content)
    keys.chmod(0o640)
    with pytest.raises(DataError, match=f"others may read the keys {keys}; .* chmod 600"):
        read(tmp_path)
    keys.unlink()
    assert read(tmp_path)[1].lost == {str(file): 2}


def test_no_key_no_record(model: StoredModel, tmp_path: Path) -> None:
    """A disk that is full while keys are written refuses the batch; it goes on when there is room."""
    [one] = decide(decider_of(model), [EXAMPLE])
    log = DecisionLog(record_files(tmp_path), encrypts=True)
    asyncio.run(log.append([one]))
    [file], [keys] = tmp_path.glob("*.ndjson"), key_files([tmp_path])
    before = file.read_bytes(), keys.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before[1]) + 60, limits[1]))
    try:
        with pytest.raises(UnavailableError):
            asyncio.run(log.append([one]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (file.read_bytes(), keys.read_bytes()) == before
    asyncio.run(log.append([one]))
    assert len(read(tmp_path)[0]) == 2
    log.close()


def test_deleted_keys_begin_another_file(model: StoredModel, tmp_path: Path) -> None:
    [one] = decide(decider_of(model), [EXAMPLE])
    log = DecisionLog(record_files(tmp_path), encrypts=True)
    asyncio.run(log.append([one]))
    [keys] = key_files([tmp_path])
    keys.unlink()
    asyncio.run(log.append([one]))
    assert len(read(tmp_path)[0]) == 1
    assert len(list(tmp_path.glob("*.ndjson"))) == 2
    log.close()


def test_keys_go_with_the_files_that_are_too_old(model: StoredModel, tmp_path: Path) -> None:
    written(tmp_path, model, "A")
    for file in tmp_path.glob("*.ndjson"):
        os.utime(file, (0, 0))
    [old] = key_files([tmp_path])
    written(tmp_path, model, "B", keep_days=762)
    assert not old.exists()
    assert read(tmp_path)[0] == ["B"]
