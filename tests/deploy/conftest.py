"""A Cloud for the test run with the service deployed in it, and machines between which a bento moves."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bentoml
import pytest

from tests.conftest import PROJECT, user_environment
from tests.deploy.cloud import Cloud, cloud_in
from tests.deploy.machines import Machine
from tests.e2e.conftest import BENTOML


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud_in(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def deployed(cloud: Cloud) -> Cloud:
    """The cloud with the service deployed in it, only for tests that change nothing."""
    result = cloud.deploy("v1", "--plain-http", "--api-keys-file", cloud.keys_file, "--alarm-email", "risk@example.com")
    assert result.returncode == 0, result.stderr
    return cloud


@pytest.fixture(scope="module")
def here(trained: str) -> Machine:  # noqa: ARG001 - the store must be filled
    return Machine(Path(os.environ["BENTOML_HOME"]), {})


@pytest.fixture
def there(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "bentoml", {})


@pytest.fixture(scope="module")
def bento(here: Machine) -> Iterator[str]:
    build = [BENTOML, "build", "--output", "tag"]
    built = subprocess.run(build, cwd=PROJECT, env=user_environment(), capture_output=True, text=True, check=True)
    tag = built.stdout.strip().removeprefix("__tag__:")
    assert tag in here.stored("bentos")
    yield tag
    bentoml.delete(tag)


@pytest.fixture(scope="module")
def exported(here: Machine, bento: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bento as an archive in BentoML's own format."""
    archive = tmp_path_factory.mktemp("exported") / "service.bento"
    assert here.run("export", bento, archive).returncode == 0
    return archive


@pytest.fixture
def model_folder(here: Machine, tmp_path: Path) -> Path:
    """A copy of what the store holds of the model."""
    tag = bentoml.models.get("credit_risk_model:latest").tag
    return shutil.copytree(here.home / "models" / tag.path(), tmp_path / "model")
