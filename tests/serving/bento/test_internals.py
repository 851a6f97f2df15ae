"""The table of what leans on the inside of others: each row is red when it moves."""

from __future__ import annotations

import bentoml
import pytest
import uvicorn
from circus.sockets import CircusSocket
from prometheus_client import Histogram

from credit_risk.contract.errors import DependencyError
from credit_risk.model.store import StoredModel
from credit_risk.model.trees import TreeTable
from credit_risk.serving.bento import internals
from credit_risk.serving.bento.internals import check_internals
from credit_risk.serving.metrics import Metrics


def test_what_is_installed_is_as_expected() -> None:
    check_internals()


@pytest.mark.parametrize(
    ("place", "name", "library"),
    [
        (CircusSocket, "bind_and_listen", "kantoku"),
        (uvicorn.Server, "handle_exit", "uvicorn"),
        (uvicorn.Server, "startup", "uvicorn"),
    ],
)
def test_an_inside_that_has_moved_is_named_with_the_versions(
    place: object, name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(place, name)
    with pytest.raises(DependencyError, match=rf"built for {library} [\d.]+, and {library} [\d.]+ has no \w+.{name}"):
        check_internals()


@pytest.mark.parametrize("library", ["bentoml"])
def test_so_is_one_of_bentoml(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = (library, bentoml.Service, ("inject_config", "moved_elsewhere"))
    monkeypatch.setattr(internals, "INTERNALS", (*internals.INTERNALS, moved))
    with pytest.raises(DependencyError, match=r"and bentoml 1\.4\.\d+ has no Service.moved_elsewhere; install"):
        check_internals()


def test_a_server_that_keeps_its_listeners_elsewhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def startup(self: uvicorn.Server, sockets: object = None) -> None:
        pass

    monkeypatch.setattr(uvicorn.Server, "startup", startup)
    with pytest.raises(DependencyError, match=r"uvicorn [\d.]+ has no Server.lifespan, servers; install"):
        check_internals()


def test_histograms_that_count_elsewhere_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    metric_init = Histogram._metric_init

    def without_sum(self: Histogram) -> None:
        metric_init(self)
        del self._sum

    monkeypatch.setattr(Histogram, "_metric_init", without_sum)
    with pytest.raises(DependencyError, match=r"prometheus-client [\d.]+ .* without _sum; install"):
        Metrics()


def test_trees_that_are_described_otherwise_are_named(model: StoredModel) -> None:
    class Renamed:
        def save_raw(self, _: str) -> bytes:
            described: bytes = bentoml.xgboost.load_model(model.tag).save_raw("json")
            return bytes(described).replace(b'"split_conditions"', b'"split_thresholds"')

    with pytest.raises(DependencyError, match=r"XGBoost [\d.]+ does not describe its trees as XGBoost 3.2 does"):
        TreeTable.of(Renamed())  # type: ignore[arg-type]
