"""Reviews and outcomes: in an order that makes sense, sealed with the log, whole or not at all, and found again."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.conflicts import ConflictError
from credit_risk.contract.decision import Reason
from credit_risk.contract.errors import InvalidRequestError, NotFoundError, UnavailableError
from credit_risk.contract.event import Asking, Outcome, Review, ReviewLine
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.log import DecisionLog
from credit_risk.model.store import StoredModel
from credit_risk.record import event_file, events
from credit_risk.record.erasing import erase, key_files, keys_of_reference
from credit_risk.record.events import EventLog, events_of
from credit_risk.record.retention import remove_old
from tests.deciders import decide, decider_of, record_files
from tests.record.sealed_logs import FOREIGN, found_in, heads_of, lines_of, seal_of

ASKING = Asking(request_id="r", caller="back-office", service="0.0.0+test")
REASON = [Reason(code="V01", text="Credit application incomplete")]
TODAY = datetime.now(UTC).date()
STATUSES = ("MAYBE", "APPROVED", "DECLINED")


def event_log(folder: Path, *, encrypts: bool = False, **changes: Any) -> EventLog:
    given: dict[str, Any] = {"seal": seal_of(folder), "rotate_bytes": 2**20} | changes
    return EventLog(folder, **given, encrypts=encrypts)


def review(status: str = "APPROVED", **changes: Any) -> Review:
    return Review.model_validate({"status": status, "reviewer": "m.ito"} | changes)


def outcome(what: str = "repaid", **changes: Any) -> Outcome:
    return Outcome.model_validate({"outcome": what, "date": TODAY} | changes)


def put(folder: Path, decision_id: str, asked: Review | Outcome, **changes: Any) -> str:
    """Put it on record, and give its id."""
    log = event_log(folder, **changes)
    if isinstance(asked, Review):
        line = log.review(decision_id, asked, REASON[: len(asked.reason_codes)], ASKING).line
    else:
        line = log.outcome(decision_id, asked, ASKING).line
    return line.review_id if isinstance(line, ReviewLine) else line.outcome_id


@pytest.fixture(scope="module")
def decisions(model: StoredModel) -> dict[str, Decided]:
    """A decision of each status."""
    decided = decide(decider_of(model), [EXAMPLE] * 3)
    return {each: d._replace(status=each) for each, d in zip(STATUSES, decided, strict=True)}  # type: ignore[arg-type]


@pytest.fixture
def folder(decisions: dict[str, Decided], tmp_path: Path) -> Path:
    return written(tmp_path / "log", decisions)


def written(folder: Path, decisions: dict[str, Decided]) -> Path:
    async def write() -> None:
        log = record_files(folder, seal=seal_of(folder))
        await log.append([each.renderer.record(each) for each in decisions.values()])
        log.close()

    asyncio.run(write())
    return folder


def test_the_chain_of_a_maybe(folder: Path, decisions: dict[str, Decided]) -> None:
    maybe = decisions["MAYBE"].decision_id
    for early in (outcome(), review(supersedes=maybe), review(override=True)):
        with pytest.raises(ConflictError):
            put(folder, maybe, early)
    first = put(folder, maybe, review("DECLINED", reason_codes=["V01"], note="no papers\nyet"))
    with pytest.raises(ConflictError, match="has a review already; send its review_id as supersedes"):
        put(folder, maybe, review())
    with pytest.raises(ConflictError, match="declined, so there is no loan"):
        put(folder, maybe, outcome())
    second = put(folder, maybe, review(supersedes=first))
    with pytest.raises(ConflictError, match="not the last review"):
        put(folder, maybe, review("DECLINED", supersedes=first))
    paid = put(folder, maybe, outcome())
    with pytest.raises(ConflictError, match="can't be reviewed any more"):
        put(folder, maybe, review("DECLINED", supersedes=second))
    with pytest.raises(ConflictError, match="has an outcome already"):
        put(folder, maybe, outcome("defaulted"))
    put(folder, maybe, outcome("defaulted", supersedes=paid))
    found = events_of(folder, maybe)
    assert [type(event.line).__name__ for event in found] == ["ReviewLine"] * 2 + ["OutcomeLine"] * 2
    assert found[0].line.model_dump()["note"] == "no papers\nyet"
    verdict = found_in(folder)
    assert verdict.faults == []
    assert verdict.unsigned == 0
    assert len(list(folder.glob("events-*.ndjson"))) == 1


def test_what_is_sent_again_is_on_record_once(folder: Path, decisions: dict[str, Decided]) -> None:
    maybe = decisions["MAYBE"].decision_id
    assert put(folder, maybe, review()) == put(folder, maybe, review())
    assert put(folder, maybe, outcome()) == put(folder, maybe, outcome())
    assert len(events_of(folder, maybe)) == 2
    another = ASKING.model_copy(update={"caller": "somebody else"})
    with pytest.raises(ConflictError):
        event_log(folder).outcome(maybe, outcome(), another)


@pytest.mark.parametrize("decided", ["APPROVED", "DECLINED"])
def test_only_who_says_so_overrules_a_decision(folder: Path, decisions: dict[str, Decided], decided: str) -> None:
    decision_id = decisions[decided].decision_id
    other = "DECLINED" if decided == "APPROVED" else "APPROVED"
    with pytest.raises(ConflictError, match=f"is {decided} already"):
        put(folder, decision_id, review(decided))
    with pytest.raises(ConflictError, match="send override as true"):
        put(folder, decision_id, review(other))
    overruled = put(folder, decision_id, review(other, override=True))
    put(folder, decision_id, review(decided, supersedes=overruled))


def test_an_outcome_is_of_a_day_from_the_decision_to_today(folder: Path, decisions: dict[str, Decided]) -> None:
    approved = decisions["APPROVED"].decision_id
    for days in (-2, 2):
        with pytest.raises(InvalidRequestError) as refused:
            put(folder, approved, outcome(date=TODAY + timedelta(days=days)))
        assert refused.value.detail[0]["loc"] == ["date"]
    put(folder, approved, outcome())


@pytest.mark.parametrize(
    "unknown", ["", "x", "../seal", "01a1f846-be8a-76fb-b12b-52a70f17da92", "6f1ed002-ab5f-4f6b-9a1e-0f2a1b3c4d5e"]
)
def test_an_unknown_decision_is_not_found(folder: Path, tmp_path: Path, unknown: str) -> None:
    with pytest.raises(NotFoundError, match="No decision of this id"):
        put(folder, unknown, review())
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError):
        put(tmp_path / "empty", unknown, review())


def test_a_decision_of_another_log_is_not_found(
    folder: Path, model: StoredModel, decisions: dict[str, Decided], tmp_path: Path
) -> None:
    [elsewhere] = decide(decider_of(model), [EXAMPLE])
    written(tmp_path / "other", {"MAYBE": elsewhere})
    with pytest.raises(NotFoundError):
        put(folder, elsewhere.decision_id, review())
    put(folder, decisions["MAYBE"].decision_id.upper(), review())


def test_many_at_once_take_turns_and_one_review_wins(folder: Path, decisions: dict[str, Decided]) -> None:
    maybe, answers = decisions["MAYBE"].decision_id, []

    def one(number: int) -> None:
        try:
            answers.append(put(folder, maybe, review(reviewer=f"r{number}")))
        except ConflictError:
            answers.append("")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12
    assert sum(map(bool, answers)) == 1
    assert found_in(folder).faults == []


def test_whoever_holds_the_turn_too_long_is_not_waited_for(
    folder: Path, decisions: dict[str, Decided], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "TURN_SECONDS", 0.05)
    files = event_file.EventFiles(folder, None, 1)
    with files.turn(1), caplog.at_level("ERROR"), pytest.raises(UnavailableError):
        put(folder, decisions["MAYBE"].decision_id, review())
    assert f"can't be recorded in {folder}: others write for too long" in caplog.text
    put(folder, decisions["MAYBE"].decision_id, review())


KILLED = """
import os, sys
from pathlib import Path
from credit_risk.record import event_file
from tests.record.test_events import outcome, put, review
real, written = os.write, []

def write(descriptor, content):
    real(descriptor, bytes(content)[:int(sys.argv[3])])
    os.kill(os.getpid(), 9)

os.write = write
put(Path(sys.argv[1]), sys.argv[2], review())
"""


@pytest.mark.parametrize("is_new", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_what_a_kill_tore_is_not_on_record_and_the_chain_goes_on(
    folder: Path, decisions: dict[str, Decided], is_new: bool, share: float
) -> None:
    maybe = decisions["MAYBE"].decision_id
    if not is_new:
        put(folder, decisions["APPROVED"].decision_id, outcome())
    torn = str(int(400 * share))
    killed = subprocess.run([sys.executable, "-c", KILLED, folder, maybe, torn], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert events_of(folder, maybe) == []
    put(folder, maybe, review())
    put(folder, maybe, outcome())
    assert len(events_of(folder, maybe)) == 2
    verdict = found_in(folder)
    assert verdict.faults == []
    assert any(part.is_torn for part in verdict.parts)


def test_a_full_disk_leaves_nothing_of_an_event(folder: Path, decisions: dict[str, Decided]) -> None:
    maybe, approved = decisions["MAYBE"].decision_id, decisions["APPROVED"].decision_id
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for kept in (0, 1):
            sizes = [path.stat().st_size for path in folder.glob("events-*.ndjson")]
            resource.setrlimit(resource.RLIMIT_FSIZE, (max([300, *(size + 300 for size in sizes)]), limits[1]))
            with pytest.raises(UnavailableError):
                put(folder, maybe, review(), encrypts=bool(kept))
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert [path.stat().st_size for path in folder.glob("events-*.ndjson")] == sizes
            if not kept:
                put(folder, approved, outcome())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    put(folder, maybe, review())
    assert found_in(folder).faults == []


def test_files_follow_each_other(folder: Path, decisions: dict[str, Decided]) -> None:
    """A file that is too large, another key, and a file of a clock that was ahead begin another one."""
    approved = decisions["APPROVED"].decision_id
    last = put(folder, approved, outcome())
    [path] = folder.glob("events-*.ndjson")
    ahead = path.rename(path.with_name("events-29991231T235959.999999Z-sealed.ndjson"))
    last = put(folder, approved, outcome("defaulted", supersedes=last))
    last = put(folder, approved, outcome(supersedes=last), rotate_bytes=1)
    put(folder, approved, outcome("defaulted", supersedes=last), seal=seal_of(folder, FOREIGN))
    assert len(list(folder.glob("events-*.ndjson"))) == 4
    assert min(folder.glob("events-*.ndjson")) == ahead
    assert len(events_of(folder, approved)) == 4
    verdict = found_in(folder)
    assert verdict.faults == []
    assert len({part.begin.chain for part in verdict.sealed if part.path.name.startswith("events") and part.begin}) == 1


@pytest.fixture
def reviewed(folder: Path, decisions: dict[str, Decided]) -> Path:
    put(folder, decisions["APPROVED"].decision_id, outcome())
    put(folder, decisions["MAYBE"].decision_id, review())
    [path] = folder.glob("events-*.ndjson")
    return path


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("how", ["edited", "deleted", "cut"])
def test_tampering_with_events_is_found(reviewed: Path, folder: Path, at: int, how: str) -> None:
    lines = lines_of(reviewed)
    assert len(lines) == 5
    if how == "edited":
        lines[at] = lines[at].replace(b"a", b"b", 1)
    elif how == "deleted":
        del lines[at]
    else:
        del lines[at:]
    reviewed.write_bytes(b"".join(lines))
    assert found_in(folder).faults


def test_a_file_of_events_that_is_gone_is_found_by_the_heads_elsewhere(reviewed: Path, folder: Path) -> None:
    reviewed.unlink()
    assert any("is missing" in fault for fault in found_in(folder).faults)
    assert heads_of(folder).exists()


def test_a_note_is_encrypted_and_erased_with_its_reference(decisions: dict[str, Decided], tmp_path: Path) -> None:
    folder, maybe = tmp_path / "encrypted", decisions["MAYBE"]
    asyncio.run(encrypted_log(folder, maybe._replace(origin=Origin("r", None, "A-7"))))
    put(folder, maybe.decision_id, review(note="lives at 1 Main Street"), encrypts=True)
    assert b"Main Street" not in b"".join(path.read_bytes() for path in folder.glob("*.ndjson"))
    [event] = events_of(folder, maybe.decision_id)
    assert event.line.model_dump()["note"] == "lives at 1 Main Street"
    put(folder, maybe.decision_id, review(note="lives at 1 Main Street"), encrypts=True)
    assert len(events_of(folder, maybe.decision_id)) == 1
    found = keys_of_reference(key_files([folder]), "A-7")
    assert len(found) == 2
    erase(found)
    [left] = events_of(folder, maybe.decision_id)
    assert left.unread == f"the note of the review {left.at.place} was erased"
    assert left.line.model_dump()["note"] is None
    put(folder, maybe.decision_id, outcome(), encrypts=True)
    assert found_in(folder).faults == []


def test_a_note_whose_key_is_lost_is_told_from_one_that_was_erased(
    decisions: dict[str, Decided], tmp_path: Path
) -> None:
    maybe = decisions["MAYBE"]
    asyncio.run(encrypted_log(tmp_path, maybe))
    put(tmp_path, maybe.decision_id, review(note="private"), encrypts=True)
    [key_file] = tmp_path.glob("keys/events-*.keys")
    key_file.unlink()
    [event] = events_of(tmp_path, maybe.decision_id)
    assert event.unread is not None
    assert "can't be read, as the key is not in" in event.unread
    assert event.line.model_dump()["note"] is None


async def encrypted_log(folder: Path, decided: Decided) -> None:
    log = DecisionLog(record_files(folder, seal=seal_of(folder)), encrypts=True)
    await log.append([decided])
    log.close()


def test_a_log_that_is_not_sealed_has_events_that_are_not(decisions: dict[str, Decided], tmp_path: Path) -> None:
    maybe = decisions["MAYBE"]
    log = record_files(tmp_path)
    asyncio.run(log.append([maybe.renderer.record(maybe)]))
    put(tmp_path, maybe.decision_id, review(), seal=None)
    paid = put(tmp_path, maybe.decision_id, outcome(), seal=None)
    log.close()
    [path] = tmp_path.glob("events-*.ndjson")
    assert len(lines_of(path)) == len(events_of(tmp_path, maybe.decision_id)) == 2
    put(tmp_path, maybe.decision_id, outcome("defaulted", supersedes=paid))
    assert len(events_of(tmp_path, maybe.decision_id)) == 3


def test_old_events_are_removed_and_excused(folder: Path, decisions: dict[str, Decided]) -> None:
    put(folder, decisions["MAYBE"].decision_id, review())
    [path] = folder.glob("events-*.ndjson")
    os.utime(path, (0, 0))
    remove_old(folder, datetime.now(UTC) - timedelta(days=762), seal_of(folder))
    assert not path.exists()
    assert found_in(folder).faults == []
