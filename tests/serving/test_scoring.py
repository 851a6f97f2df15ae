"""Whether a service may start with the model server that its settings name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from credit_risk.contract.errors import SettingError
from credit_risk.model.store import StoredModel
from credit_risk.serving.scoring import check_model_server
from credit_risk.serving.settings import Settings, load_settings
from tests.e2e.conftest import free_port
from tests.fake_model_server import FakeModelServer

NOBODY = "v2+http://127.0.0.1:{port}/v2/models/credit_risk_model"


@pytest.fixture
def fake(model: StoredModel) -> Iterator[FakeModelServer]:
    with FakeModelServer(model).running() as server:
        yield server


def check(address: str, model: StoredModel, **settings: Any) -> None:
    check_model_server(Settings(scoring=address, **settings), model)


def test_without_the_setting_nobody_is_asked(model: StoredModel) -> None:
    check_model_server(Settings(), model)


def test_the_same_model_is_served(fake: FakeModelServer, model: StoredModel) -> None:
    check(fake.address, model)
    check(f"{fake.address}/versions/{model.version}", model)
    assert fake.rows == [64, 64]


def test_a_version_may_be_part_of_the_name(fake: FakeModelServer, model: StoredModel) -> None:
    fake.name, fake.version = f"credit_risk_model-{model.version}", "1"  # as Triton, whose versions are numbers
    check(fake.address, model)
    check(f"{fake.address}/versions/1", model)
    with pytest.raises(SettingError, match="another model or version"):
        check(f"{fake.address}/versions/2", model)


def swapped(columns: tuple[int, int]) -> Any:
    def swap(matrix: Any) -> Any:
        matrix[:, columns] = matrix[:, columns[::-1]]
        return matrix

    return swap


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another version": ({"version": "2"}, "answers with another model or version"),
    "another name": ({"name": "another"}, "is asked for another"),
    "fewer features": ({"features": 20}, "takes one tensor of"),
    "another type": ({"datatype": "FP64"}, "takes one tensor of"),
    "other numbers": ({"gives": lambda values: (values * np.float32(1.00001)).tolist()}, "scores otherwise"),
    "0 for unknown": ({"reads": np.nan_to_num}, "scores otherwise"),
    "not finite": ({"gives": lambda values: [None] * len(values)}, "not finite"),
}


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize("fallback", ["none", "local"])
def test_a_server_with_another_model_is_refused(
    fake: FakeModelServer, model: StoredModel, fault: str, fallback: str
) -> None:
    changes, told = WRONG[fault]
    for name, value in changes.items():
        setattr(fake, name, value)
    with pytest.raises(SettingError) as refused:
        check(fake.address.replace("http://", "http://scorer:secret@"), model, scoring_fallback=fallback)
    sentence = str(refused.value)
    assert sentence.startswith(f"CREDIT_RISK_SCORING: the model server at {fake.address} ")
    assert told in sentence
    assert f"python -m deploy.model_server export --model {model.tag} FOLDER" in sentence
    assert "secret" not in sentence
    assert "\n" not in sentence


def test_any_two_features_in_another_order_are_noticed(fake: FakeModelServer, model: StoredModel) -> None:
    """The order is wrong wherever it makes a difference to any of the bundled applications."""
    count = len(model.encoder.names)
    used = sorted(set(model.scorer.table.split_features.ravel().tolist())) if model.scorer.table else []
    pairs = [(one, other) for one in used for other in range(count) if one != other]
    assert len(pairs) > 100
    for pair in pairs[::7]:
        fake.reads = swapped(pair)
        with pytest.raises(SettingError, match="scores otherwise"):
            check(fake.address, model)


def test_a_server_that_has_no_such_model_is_refused(fake: FakeModelServer, model: StoredModel) -> None:
    address = fake.address
    fake.name = "another"
    with pytest.raises(SettingError, match="has no model credit_risk_model; let it serve"):
        check(address, model)


@pytest.mark.parametrize("port", ["closed", "not ready"])
def test_a_server_that_is_not_there_is_named_with_the_fix(
    fake: FakeModelServer, model: StoredModel, port: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = NOBODY.format(port=free_port()) if port == "closed" else fake.address
    fake.ready = 503
    with pytest.raises(SettingError, match="start it, or set CREDIT_RISK_SCORING_FALLBACK=local") as refused:
        check(address, model)
    assert str(refused.value).startswith(f"CREDIT_RISK_SCORING: the model server at {address} ")
    check(address, model, scoring_fallback="local")
    assert f"The model server at {address} " in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8080/v2/models/credit_risk_model",
        "v2+http://localhost:8080",
        "v2+http://localhost:8080/v2/models/",
        "v2+http://localhost:8080/v2/models/a/b",
        "v2+http://localhost:8080/v2/models/a?b",
        'v2+http://local"host/v2/models/a',
        "v2+http://localhost:8080/v2/models/a\n",
        "v2+http://localhost:secret/v2/models/a",
        "v2+http://localhost:99999/v2/models/a",
    ],
)
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.delenv("CREDIT_RISK_MODEL", raising=False)
    monkeypatch.setenv("CREDIT_RISK_SCORING", address)
    with pytest.raises(SettingError, match=r"^invalid settings: CREDIT_RISK_SCORING: must be v2\+http://HOST:PORT/v2/"):
        load_settings()
