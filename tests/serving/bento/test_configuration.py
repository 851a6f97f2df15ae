"""What is wrong with BentoML's configuration is told as such; what is wrong inside BentoML is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bentoml
import pytest

from credit_risk.contract.errors import SettingError
from credit_risk.serving.bento.configuration import FILE, OVERRIDES, check_configuration, name_the_file
from tests.conftest import PROJECT

NAME = "credit_risk_classifier"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1, 2]", "the whole must be a mapping"),
        ("text", "the whole must be a mapping"),
        ("services: [1]", "services must be a mapping"),
        ("services: none", "services must be a mapping"),
        (f"services: {{{NAME}: 5}}", f"services.{NAME} must be a mapping"),
        ("services: {", "is not YAML"),
        ("runners: {batching: {enabled: true}}", f"runners is a section of earlier .* to services.{NAME}"),
        ("api_server: {workers: 1}", f"api_server is a section of earlier .* to services.{NAME}"),
    ],
)
def test_a_file_of_another_shape_is_named(
    content: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text(content)
    monkeypatch.setenv(FILE, str(tmp_path / "bad.yaml"))
    with pytest.raises(SettingError, match=words) as refused:
        check_configuration()
    assert "bad.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_absent_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE, "nowhere.yaml")
    with pytest.raises(SettingError, match=r"BENTOML_CONFIG names nowhere.yaml, which can't be read: No such file"):
        check_configuration()


@pytest.mark.parametrize(
    ("overrides", "words"), [("{", "is not JSON"), ("[]", "must be a mapping"), ('{"services": 1}', "services must")]
)
def test_bad_overrides_are_named(overrides: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE, raising=False)
    name_the_file()
    monkeypatch.setenv(OVERRIDES, overrides)
    with pytest.raises(SettingError, match=rf"BENTOML_CONFIG_OVERRIDES\b.*{words}"):
        check_configuration()


def test_the_projects_own_file_is_right_and_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE, raising=False)
    name_the_file()
    import os

    assert os.environ[FILE] == str(PROJECT / "bentoconfiguration.yaml")
    check_configuration()


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("error", [AttributeError, TypeError, ValueError, KeyError])
def test_a_break_inside_bentoml_is_not_told_as_the_users_fault(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    from service import svc

    def broken(_: Any) -> None:
        raise error("inside BentoML")

    monkeypatch.setattr(bentoml.Service, "inject_config", broken)
    with pytest.raises(error, match="inside BentoML"):
        svc.inject_config()
