from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import bentoml
import pytest

from service import svc


def test_the_model_of_a_bento_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the bento holds another one before it."""
    tags = [bentoml.Tag.from_str(tag) for tag in ("challenger:1", "credit_risk_model:2", "zebra:3")]
    bento: Any = SimpleNamespace(info=SimpleNamespace(all_models=[SimpleNamespace(tag=tag) for tag in tags]))
    monkeypatch.setattr(bentoml.Service, "on_load_bento", lambda *_: None)
    monkeypatch.setenv("CREDIT_RISK_MODEL", "credit_risk_model:latest")
    svc.on_load_bento(bento)
    assert os.environ["CREDIT_RISK_MODEL"] == "credit_risk_model:2"


def test_the_model_that_the_settings_name_goes_into_a_bento(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_RISK_MODEL", "credit_risk_model:7")
    assert [str(model.tag) for model in svc.models] == ["credit_risk_model:7"]


def test_a_bento_is_labelled_with_the_commit() -> None:
    assert set(svc.labels) == {"commit"}
