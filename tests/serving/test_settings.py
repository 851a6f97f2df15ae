from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from credit_risk.contract.errors import SettingError
from credit_risk.serving.batching import Batching, load_batching
from credit_risk.serving.keys import Key
from credit_risk.serving.settings import Settings, load_keys, load_settings
from tests.conftest import PROJECT


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that ran in this process has pinned its model there."""
    monkeypatch.delenv("CREDIT_RISK_MODEL", raising=False)


def test_defaults() -> None:
    assert load_settings() == Settings(model="credit_risk_model:latest", policy=PROJECT / "policy.yaml")


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_RISK_MODEL", "credit_risk_model:abc")
    monkeypatch.setenv("CREDIT_RISK_POLICY", "strict.yaml")
    settings = load_settings()
    assert settings.model == "credit_risk_model:abc"
    assert str(settings.policy) == "strict.yaml"


@pytest.mark.parametrize("tag", ["a b", "model:", ":latest", "../model", "Model:1"])
def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    monkeypatch.setenv("CREDIT_RISK_MODEL", tag)
    with pytest.raises(SettingError, match="CREDIT_RISK_MODEL"):
        load_settings()


def test_the_decision_log_is_kept_as_long_as_the_law_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG_KEEP_DAYS", "761")
    said = r"KEEP_DAYS: must be 762 or more, .* \(12 CFR 1002.12\(b\)\); .* CREDIT_RISK_DECISION_LOG_KEEP_LESS=true"
    with pytest.raises(SettingError, match=said):
        load_settings()
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG_KEEP_LESS", "true")
    assert load_settings().decision_log_keep_days == 761
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG_KEEP_LESS", "false")
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG_KEEP_DAYS", "762")
    assert load_settings().decision_log_keep_days == 762


def test_batching_is_that_of_the_configuration() -> None:
    configuration = yaml.safe_load((PROJECT / "bentoconfiguration.yaml").read_text())
    section = configuration["services"]["credit_risk_classifier"]
    assert load_batching(section) == Batching(enabled=True, max_batch_size=100, max_latency_ms=500, max_queue_size=2000)
    assert load_batching({}) == Batching()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("enabled", "yes"),
        ("max_batch_size", 0),
        ("max_batch_size", 10_001),
        ("max_batch_size", True),
        ("max_latency_ms", 0),
        ("max_latency_ms", "fast"),
        ("max_queue_size", 0),
        ("max_batch_sise", 10),
    ],
)
def test_bad_batching_is_named(key: str, value: object) -> None:
    with pytest.raises(SettingError, match=f"configuration of BentoML: batching.{key}: "):
        load_batching({"batching": {key: value}})


def test_keys_come_from_the_environment_and_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"shop": "b" * 64}))
    monkeypatch.setenv("CREDIT_RISK_API_KEYS", json.dumps({"bank": "a" * 64}))
    monkeypatch.setenv("CREDIT_RISK_API_KEYS_FILE", str(tmp_path / "keys.json"))
    assert load_keys(load_settings()) == {"bank": Key(sha256="a" * 64), "shop": Key(sha256="b" * 64)}


def test_a_key_may_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"sha256": "a" * 64, "requests_per_second": 50, "batches": 2}
    monkeypatch.setenv("CREDIT_RISK_API_KEYS", json.dumps({"bank": key}))
    assert load_keys(load_settings()) == {"bank": Key(sha256="a" * 64, requests_per_second=50, batches=2)}


@pytest.mark.parametrize("limit", [{"requests_per_second": 0}, {"batches": 61}, {"batches": "2"}, {"requests": 5}])
def test_a_limit_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, limit: dict[str, object]) -> None:
    monkeypatch.setenv("CREDIT_RISK_API_KEYS", json.dumps({"bank": {"sha256": "a" * 64, **limit}}))
    with pytest.raises(SettingError, match="CREDIT_RISK_API_KEYS: must be a JSON object"):
        load_settings()


@pytest.mark.parametrize("secret", ["hunter2", '{"bank": "hunter2"}', '["hunter2"]', '{"a b": "%s"}' % ("a" * 64)])
def test_bad_keys_are_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secret: str) -> None:
    monkeypatch.setenv("CREDIT_RISK_API_KEYS", secret)
    with pytest.raises(SettingError, match=r"CREDIT_RISK_API_KEYS\b.*sha256 of tokens") as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)
    monkeypatch.delenv("CREDIT_RISK_API_KEYS")
    (tmp_path / "keys.json").write_text(secret)
    monkeypatch.setenv("CREDIT_RISK_API_KEYS_FILE", str(tmp_path / "keys.json"))
    with pytest.raises(SettingError, match="CREDIT_RISK_API_KEYS_FILE is not a JSON object"):
        load_keys(load_settings())


def test_required_keys_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CREDIT_RISK_REQUIRE_API_KEYS", "true")
    with pytest.raises(SettingError, match="API keys are required"):
        load_keys(load_settings())
    monkeypatch.setenv("CREDIT_RISK_API_KEYS_FILE", str(tmp_path / "nowhere.json"))
    with pytest.raises(SettingError, match="can't be read: No such file"):
        load_keys(load_settings())


def test_a_misspelt_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_RISK_POLCY", "policy.yaml")
    with pytest.raises(SettingError, match="there is no setting CREDIT_RISK_POLCY; there are CREDIT_RISK_MODEL"):
        load_settings()


def test_origins_are_those_that_browsers_send(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().cors_origins == ()
    origins = ("https://example.com", "http://localhost:8080", "http://[::1]:3000", "chrome-extension://abc")
    monkeypatch.setenv("CREDIT_RISK_CORS_ORIGINS", json.dumps(origins))
    assert load_settings().cors_origins == origins


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "",
        "example.com",
        "https://",
        "https://*.example.com",
        "https://example.com/",
        "https://example.com/app",
        "https://example.com?a",
        "https://user@example.com",
        "https://Example.com",
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:port",
        "https://example.com\n",
        1,
    ],
)
def test_what_no_browser_sends_is_refused(monkeypatch: pytest.MonkeyPatch, origin: object) -> None:
    """It would never match, and whoever wrote it would wonder why."""
    monkeypatch.setenv("CREDIT_RISK_CORS_ORIGINS", json.dumps(["https://example.com", origin]))
    with pytest.raises(SettingError, match="CREDIT_RISK_CORS_ORIGINS: must be a JSON list of origins as browsers send"):
        load_settings()


@pytest.mark.parametrize("value", ["https://example.com", '"https://example.com"', "*", "{}", "["])
def test_origins_are_a_json_list(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CREDIT_RISK_CORS_ORIGINS", value)
    with pytest.raises(
        SettingError, match=r"CREDIT_RISK_CORS_ORIGINS: must be a JSON list .*\[\"https://example.com\""
    ):
        load_settings()
