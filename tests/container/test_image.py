"""What the image contains, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys

from credit_risk.model.store import StoredModel
from credit_risk.serving.bento.image import BASE_IMAGE
from tests.conftest import PROJECT
from tests.container.conftest import Image

MOST_MEGABYTES = 430  # on top of the base image
TRAINING_AND_LOAD = {"locust", "scikit-learn", "nvidia-nccl-cu12", "xgboost"}


def test_it_is_small(image: Image) -> None:
    added = image.inspect()["Size"] - image.inspect(BASE_IMAGE)["Size"]
    assert added <= MOST_MEGABYTES * 1e6


def test_it_has_the_serving_packages_at_the_versions_of_the_lock(image: Image) -> None:
    listing = (
        "import importlib.metadata as m, json; print(json.dumps([(d.name, d.version) for d in m.distributions()]))"
    )
    distributions = json.loads(image.run("-c", listing, entrypoint="/app/.venv/bin/python"))
    installed = {name.lower().replace("_", "-"): version for name, version in distributions}
    lock = (PROJECT / "deploy" / "requirements.txt").read_text().splitlines()
    locked = dict(line.split(" ")[0].split("==") for line in lock if line[:1].isalnum())
    assert installed == locked
    assert not TRAINING_AND_LOAD & set(installed)


def test_it_has_no_compiler_no_git_and_no_cache(image: Image) -> None:
    script = "for tool in gcc cc make git uv; do command -v $tool; done; ls -A /root/.cache 2>/dev/null; true"
    assert image.run("-c", script, entrypoint="sh") == ""


def test_it_holds_the_bento_and_nothing_else_of_the_project(image: Image) -> None:
    found = image.run("/home/bentoml/bento", "-name", "*.py", "-path", "*/src/*", entrypoint="find").split()
    package = {path.relative_to(PROJECT) for path in PROJECT.glob("credit_risk/**/*.py")}
    names = {str(path) for path in package} | {"service.py"}
    assert {path.removeprefix("/home/bentoml/bento/src/") for path in found} == names


def test_its_configuration_says_how_to_run_it(image: Image) -> None:
    config = image.inspect()["Config"]
    assert config["User"] == "bentoml"
    assert "3000/tcp" in config["ExposedPorts"]
    assert "/tmp" in config["Volumes"]
    assert "/readyz" in image.health_check()[-1]
    assert config["Cmd"] == ["serve", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "25"]
    assert not [name for name in map(str.upper, config["Env"]) if "KEY" in name or "TOKEN" in name or "INDEX" in name]


MODEL_OF_THE_IMAGE = """
import sys, hashlib, bentoml, xgboost, pathlib
from credit_risk.training.data import load_dataset
from credit_risk.model.store import load_model
tag, applications = sys.argv[1:]
model = load_model(tag)
matrix = model.encoder.encode_columns(load_dataset(pathlib.Path(applications)).columns)
probabilities = bentoml.xgboost.load_model(tag).inplace_predict(matrix)
print(xgboost.__version__, len(matrix))
for array in (matrix, probabilities, model.scorer.margins(matrix)):
    print(hashlib.sha256(array.tobytes()).hexdigest())
"""


def test_the_model_gives_the_same_probabilities_to_the_last_bit(image: Image, model: StoredModel) -> None:
    """The image has XGBoost's build without a GPU."""
    applications = PROJECT / "data" / "applications.csv"
    options = ("-v", f"{applications}:/applications.csv:ro", "-e", "PYTHONPATH=src", "-e", "BENTOML_HOME=.")
    command = ("-c", MODEL_OF_THE_IMAGE, model.tag, "/applications.csv")
    inside = image.run(*command, entrypoint="/app/.venv/bin/python", options=options)
    outside = subprocess.run(
        [sys.executable, "-c", MODEL_OF_THE_IMAGE, model.tag, applications],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert inside == outside
    assert inside.split()[:2] == [model.metadata["versions"]["xgboost"], "4455"]
