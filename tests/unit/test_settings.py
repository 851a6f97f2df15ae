from __future__ import annotations

import pytest

from credit_risk.contract.errors import SettingError
from credit_risk.serving.settings import Settings, load_settings
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
