"""The decision log: what is on record, and what happens when it can't be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from credit_risk import __version__
from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.decision import Decision
from credit_risk.contract.errors import SettingError, UnavailableError
from credit_risk.contract.policy import load_policy
from credit_risk.contract.record import DecisionRecord
from credit_risk.model.data import Dataset
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel
from credit_risk.serving.decider import Decider, Origin
from credit_risk.serving.decision_log import FileLog, NoLog, StreamLog, check_log, open_log
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.runner import AdaptiveRunner
from credit_risk.serving.settings import Batching, Settings
from tests.conftest import PROJECT

ORIGIN = Origin('a "request"\\', "branch")


def file_log(folder: Path, **changes: Any) -> FileLog:
    settings: dict[str, Any] = {"fsync": "never", "rotate_bytes": 2**30, "keep_days": None}
    return FileLog(folder, **settings | changes)


def decider_with(model: StoredModel, log: Any) -> Decider:
    policy, catalogue = load_policy(PROJECT / "policy.yaml"), load_catalogue(PROJECT / "reasons.yaml")
    return Decider(model, policy, catalogue, log, Metrics())


def lines_of(folder: Path) -> list[bytes]:
    return [line for path in sorted(folder.glob("*.ndjson")) for line in path.read_bytes().splitlines(keepends=True)]


def decide(decider: Decider, applications: Sequence[CreditApplication]) -> list[Decision]:
    answers = decider.decide(applications, [ORIGIN] * len(applications))
    return [Decision.model_validate_json(answer) for answer in answers]


def test_every_decision_is_on_record_as_it_was_answered(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    applications = synthetic.applications[:500]
    decisions = decide(decider_with(model, file_log(tmp_path)), applications)
    records = [DecisionRecord.model_validate_json(line) for line in lines_of(tmp_path)]
    for application, decision, record in zip(applications, decisions, records, strict=True):
        assert record.application == application
        assert record.decision_id == decision.decision_id
        assert (record.status, record.score) == (decision.Status, decision.score)
        assert round(record.probability_of_default, 4) == decision.probability_of_default
        assert record.probability_of_default == probability_of(record.margin)
        assert [reason.code for reason in record.reasons] == [reason.code for reason in decision.reasons]
        assert record.warnings == [warning.code for warning in decision.warnings]
        assert (record.model, record.policy) == (decision.model, decision.policy)
        assert record.model_sha256 == model.metadata["booster_sha256"]
        assert (record.request_id, record.caller, record.service) == (*ORIGIN, __version__)
        row = bytes.fromhex(record.features)
        assert struct.unpack(f"<{len(row) // 4}f", row)
        assert model.scorer.margins(model.scorer.encoder.matrix([row]))[0] == pytest.approx(record.margin, abs=0)
    assert any(reason.contribution for record in records for reason in record.reasons)


def test_a_record_is_what_the_schema_gives(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    decide(decider_with(model, file_log(tmp_path)), [*synthetic.applications[:200], EXAMPLE])
    for line in lines_of(tmp_path):
        written = json.loads(line)
        described = json.loads(DecisionRecord.model_validate_json(line).model_dump_json(by_alias=True))
        assert list(written) == list(described)
        assert described | {"time": written["time"]} == written
        said = line[line.index(b'"application":') + 14 : line.index(b',"application_sha256"')]
        assert hashlib.sha256(said).hexdigest() == written["application_sha256"]


def test_a_new_file_when_one_is_full_and_old_ones_go(tmp_path: Path) -> None:
    old = tmp_path / "decisions-20200101T000000.000000Z-1.ndjson"
    old.write_text("{}\n")
    os.utime(old, (0, 0))
    other = tmp_path / "notes.txt"
    other.write_text("")
    os.utime(other, (0, 0))
    log = file_log(tmp_path, rotate_bytes=25, keep_days=30)
    for _ in range(5):
        log.append([b"1234567890\n"])
    assert sorted(path.stat().st_size for path in tmp_path.glob("*.ndjson")) == [11, 22, 22]
    assert not old.exists()
    assert other.exists()


def test_a_new_file_on_a_new_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = file_log(tmp_path)
    log.append([b"today\n"])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    log.append([b"tomorrow\n"])
    assert len(list(tmp_path.glob("*.ndjson"))) == 2


def test_files_are_for_the_service_alone(tmp_path: Path) -> None:
    file_log(tmp_path).append([b"a record\n"])
    [path] = tmp_path.glob("*.ndjson")
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("written", [0, 1, 7])
def test_what_could_not_be_written_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a full disk, which takes some of the bytes."""
    log = file_log(tmp_path)
    log.append([b"before\n"])
    caplog.set_level("INFO")
    write, full = os.write, True

    def some(descriptor: int, data: bytes) -> int:
        if full and (written == 0 or len(data) <= written):
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:written] if full else data)

    monkeypatch.setattr(os, "write", some)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="can't be recorded"):
            log.append([b"123456789\n"])
    assert lines_of(tmp_path) == [b"before\n"]
    full = False
    log.append([b"after\n"])
    assert lines_of(tmp_path) == [b"before\n", b"after\n"]
    assert log.is_healthy()
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_readiness_comes_back_without_a_request(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.write_text("a file where the folder should be")
    log = file_log(folder)
    assert log.is_healthy()
    with pytest.raises(UnavailableError):
        log.append([b"a record\n"])
    assert not log.is_healthy()
    folder.unlink()
    assert log.is_healthy()
    log.append([b"a record\n"])
    assert lines_of(folder) == [b"a record\n"]


@pytest.mark.parametrize(("fsync", "synced"), [("never", 0), ("batch", 3)])
def test_batches_are_made_durable_where_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: str, synced: int
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    log = file_log(tmp_path, fsync=fsync)
    for _ in range(3):
        log.append([b"a record\n"])
    assert len(calls) == synced


def test_a_stream_gets_whole_lines_in_pieces_that_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        pieces.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    path = tmp_path / "stream"
    with path.open("wb") as stream:
        StreamLog(stream.fileno()).append([b"x" * 1500 + b"\n"] * 5 + [b"y" * 9000 + b"\n"])
    assert path.read_bytes() == (b"x" * 1500 + b"\n") * 5 + b"y" * 9000 + b"\n"
    assert pieces == [3002, 3002, 1501, 9001]


def test_nothing_is_answered_that_is_not_on_record(model: StoredModel, synthetic: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.write_text("")
    metrics = Metrics()
    runner = AdaptiveRunner(decider_with(model, file_log(folder)), Batching(), metrics)

    async def ask() -> list[Any]:
        requests = [runner.run(application, ORIGIN) for application in synthetic.applications[:20]]
        return await asyncio.gather(*requests, return_exceptions=True)

    assert {type(answer) for answer in asyncio.run(ask())} == {UnavailableError}
    folder.unlink()
    assert {type(answer) for answer in asyncio.run(ask())} == {bytes}
    assert len(lines_of(folder)) == 20


def test_the_settings_choose_the_log(tmp_path: Path) -> None:
    assert isinstance(open_log(Settings(decision_log="off")), NoLog)
    assert isinstance(open_log(Settings(decision_log="stdout")), StreamLog)
    assert isinstance(open_log(Settings(decision_log=str(tmp_path))), FileLog)
    check_log(Settings(decision_log=str(tmp_path / "new")))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"decisions can't be recorded in .*file: .* CREDIT_RISK_DECISION_LOG"):
        check_log(Settings(decision_log=str(tmp_path / "file")))
