from __future__ import annotations

import pytest
import yaml

from credit_risk.contract.errors import SettingError
from credit_risk.serving.settings import Batching, Settings, load_batching, load_settings
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
    with pytest.raises(SettingError, match=f"bentoconfiguration.yaml: batching.{key}: "):
        load_batching({"batching": {key: value}})
