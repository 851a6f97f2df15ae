"""`python -m credit_risk verify` names what is broken in a sealed log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from credit_risk.commands.cli import cli
from credit_risk.record.seal import FOLDER
from tests.record.sealed_logs import FOREIGN, KEY, a_record, files_in, heads_of, lines_of, sealed_files, write


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["verify", *map(str, arguments)])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    write(folder, [3, 1, 4])
    return folder


@pytest.fixture
def public_key(log: Path) -> Path:
    [key] = (log / FOLDER).glob("key-*.pem")
    return key


def test_a_log_that_holds(log: Path, public_key: Path) -> None:
    result = run(log)
    assert result.exit_code == 0
    counts, verdict = result.output.splitlines()
    lines = sum(len(lines_of(path)) for path in files_in(log))
    assert counts == f"{lines} lines in {len(files_in(log))} files of 1 chain are sealed"
    assert verdict.startswith("The seal holds; the public key is the one beside the log")
    assert run(log, "--key", public_key, "--heads", heads_of(log)).output.endswith("The seal holds\n")


def test_the_service_log_is_the_one_that_is_checked(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG", str(log))
    assert "The seal holds" in run().output
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG", "stdout")
    refused = run()
    assert refused.exit_code == 1
    assert "the log went to standard output, as CREDIT_RISK_DECISION_LOG is stdout" in refused.output


def test_what_is_broken_is_named(log: Path) -> None:
    path = files_in(log)[0]
    path.write_bytes(path.read_bytes().replace(b"APPROVED", b"DECLINED", 1))
    result = run(log)
    assert result.exit_code == 1
    assert f"{path}:2: edited: the line after it follows what it was\n" in result.output
    assert result.output.endswith("The seal is broken in 1 place\n")


def test_an_end_that_was_cut_off_needs_the_heads(log: Path) -> None:
    path = files_in(log)[-1]
    path.write_bytes(b"".join(lines_of(path)[:-2]))
    assert run(log).exit_code == 0
    result = run(log, "--heads", heads_of(log))
    assert result.exit_code == 1
    assert "cut: " in result.output


def test_another_key_than_that_of_the_service_is_foreign(log: Path, public_key: Path, tmp_path: Path) -> None:
    FOREIGN.publish(tmp_path)
    [foreign] = tmp_path.glob("key-*.pem")
    result = run(log, "--key", foreign)
    assert result.exit_code == 1
    assert "foreign key" in result.output
    public_key.unlink()
    refused = run(log)
    assert refused.exit_code == 1
    assert "there is no public key beside" in refused.output


def test_a_torn_line_and_logs_of_earlier_versions_are_told(log: Path) -> None:
    (log / "decisions-20200101T000000.000000Z-1.ndjson").write_bytes(a_record(1))
    crashed = files_in(log)[-1]
    crashed.write_bytes(crashed.read_bytes()[:-5])
    result = run(log)
    assert result.exit_code == 0
    assert f"{crashed}:{len(lines_of(crashed))} is torn" in result.output
    assert "1 line of 1 file are not sealed" in result.output
    assert "at the end not signed yet" in result.output


def test_what_is_no_log_or_key_is_named(tmp_path: Path) -> None:
    assert "there is no decision log" in run(tmp_path / "nowhere").output
    (tmp_path / "decisions-1.ndjson").write_bytes(a_record(1))
    assert "can't be read: No such file" in run(tmp_path, "--key", tmp_path / "nowhere.pem").output
    (tmp_path / "no.pem").write_text("no key")
    assert "holds no public key" in run(tmp_path, "--key", tmp_path / "no.pem").output
    assert "can't be read" in run(tmp_path, "--heads", tmp_path / "nowhere").output


def test_a_file_alone_is_checked_without_its_neighbours(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    write(folder, [3, 1, 4, 2, 5, 1])
    for path in files_in(folder):
        assert "The seal holds" in run(path).output


def test_a_log_may_be_verified_while_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = sealed_files(folder)
    asyncio.run(log.append([a_record(1), a_record(2)]))
    assert "3 lines at the end not signed yet" in run(folder).output
    log.close()
    assert "not signed" not in run(folder).output
    assert KEY.fingerprint in next((folder / FOLDER).glob("*.pem")).name
