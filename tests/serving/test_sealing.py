"""What seals the log, as the settings have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_risk.contract.errors import SettingError
from credit_risk.record.seal import Seal
from credit_risk.record.signing import SigningKey
from credit_risk.serving.sealing import open_seal, warn_of_key
from credit_risk.serving.settings import Settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("BENTOML_HOME", str(home))
    return home


def opened(**settings: object) -> Seal | None:
    return open_seal(Settings.model_validate(settings))


def test_a_key_is_made_in_bentoml_home(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    seal = opened(decision_log_heads="stdout", decision_log_head_seconds=2)
    assert seal is not None
    assert (seal.second_place, seal.seconds) == ("stdout", 2)
    assert seal.key.fingerprint == SigningKey.load(home / "decision-log.key").fingerprint
    warn_of_key(Settings())
    assert not caplog.records


def test_a_key_is_made_beside_the_log_where_home_can_not_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BENTOML_HOME", "/proc/nowhere")
    log = tmp_path / "log"
    assert opened(decision_log=str(log)) is not None
    assert (log / "seal" / "decision-log.key").exists()
    warn_of_key(Settings(decision_log=str(log)))
    [warning] = caplog.records
    assert "Name a key elsewhere in CREDIT_RISK_DECISION_LOG_KEY" in warning.message


def test_a_named_key_must_be_there(tmp_path: Path) -> None:
    key = tmp_path / "key"
    with pytest.raises(SettingError, match=f"the key {key} .* can't be read: .* CREDIT_RISK_DECISION_LOG_KEY"):
        opened(decision_log_key=key)
    made = SigningKey.load_or_make(key)
    seal = opened(decision_log_key=key)
    assert seal is not None
    assert seal.key.fingerprint == made.fingerprint


def test_a_key_that_can_not_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", "/proc/nowhere")
    with pytest.raises(SettingError, match=r"can't be made in /proc/log/seal.* CREDIT_RISK_DECISION_LOG_SEAL=false"):
        opened(decision_log="/proc/log")


def test_what_needs_no_seal_has_none(tmp_path: Path, home: Path) -> None:
    assert opened(decision_log="off") is None
    assert opened(decision_log="stdout") is None
    assert opened(decision_log_seal=False) is None
    assert list(home.iterdir()) == []
    SigningKey.load_or_make(tmp_path / "key")
    assert opened(decision_log="stdout", decision_log_key=tmp_path / "key") is not None
