"""The bento: what is in it, and that it serves what it was built with."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import bentoml
import pytest
import yaml

from credit_risk.model.store import StoredModel
from tests.conftest import copy_project, user_environment
from tests.corpus import GOOD
from tests.e2e.conftest import BENTOML, Server, serving, workers_of
from tests.e2e.test_serve import post
from tests.models import another_is_latest

SECRETS = (".env", "keys.json", "credit_risk/.env", "credit_risk/serving/keys.json", "deploy/keys.json")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project in which somebody keeps secrets."""
    clone = tmp_path_factory.mktemp("bento") / "clone"
    copy_project(clone)
    for name in SECRETS:
        (clone / name).write_text("{}")
    return clone


@pytest.fixture(scope="module")
def bento(trained: str, clone: Path) -> Iterator[bentoml.Bento]:  # noqa: ARG001 - the store must be filled
    built = subprocess.run(
        [BENTOML, "build", "--output", "tag"],
        cwd=clone,
        env=user_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    bento = bentoml.get(built.stdout.strip().removeprefix("__tag__:"))
    yield bento
    bentoml.delete(bento.tag)


def test_it_holds_what_serving_needs_and_nothing_else(bento: bentoml.Bento, clone: Path) -> None:
    source = Path(bento.path_of("src"))
    package = {str(path.relative_to(clone)) for path in clone.glob("credit_risk/**/*.py")}
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    settings = {"policy.yaml", "reasons.yaml", "features.yaml", "bentoconfiguration.yaml", "bentofile.yaml"}
    assert files == package | settings | {"service.py", "credit_risk/commands/notice.txt.j2"}


def test_it_is_labelled_and_described(bento: bentoml.Bento) -> None:
    assert bento.info.labels == {"project": "credit-risk", "commit": "unknown"}  # its folder is no repository
    assert "Credit decisions over HTTP" in Path(bento.path_of("README.md")).read_text()
    described = yaml.safe_load(Path(bento.path_of("apis/openapi.yaml")).read_text())
    assert {"/classify", "/classify_batch"} <= set(described["paths"])


def test_it_serves_its_own_model_and_configuration(
    bento: bentoml.Bento, server: Server, model: StoredModel, tmp_path: Path
) -> None:
    """Also after another model has become the latest."""
    [pinned] = [str(model.tag) for model in bento.info.all_models]
    with another_is_latest(model) as newer, serving(str(bento.tag), folder=tmp_path) as served:
        for body in GOOD.values():
            assert comparable(post(served.url, body)) == comparable(post(server.url, body))
        _, answer = post(served.url, GOOD["nulls"])
        assert pinned in answer.decode()
        assert newer not in answer.decode()
        assert workers_of(served, 2) == 2


def comparable(answer: tuple[int, bytes]) -> object:
    """A decision without its id."""
    status, body = answer
    return status, {key: value for key, value in yaml.safe_load(body).items() if key != "decision_id"}
