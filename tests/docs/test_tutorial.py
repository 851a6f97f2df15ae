"""The table of the tutorial's commands and inputs is true. Each row is held here, or where HELD_ELSEWHERE says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import bentoml
import pytest
import yaml
from pydantic import BaseModel

from credit_risk.model.store import StoredModel
from tests.conftest import HOME, PROJECT, user_environment
from tests.corpus import SAMPLE
from tests.e2e.conftest import BENTOML, Server
from tests.tables import vectorizer_of

TABLE = (PROJECT / "docs" / "tutorial.md").read_text()
ROWS = dict(re.findall(r"^\| (.+?) \| (.+?) \| .*\|$", TABLE, re.MULTILINE)[1:])
HELD_ELSEWHERE = {
    "`bentoml serve service:svc`": "tests/e2e/test_serve.py",
    "`bentoml serve --production`": "tests/e2e/test_serve.py",
    "`bentoml build`": "tests/docs/test_readme.py",
    "`bentoml containerize credit_risk_classifier:TAG`": "tests/container",
    "`docker run -it --rm -p 3000:3000 containerize credit_risk_classifier:TAG`": "tests/container",
    "http://localhost:3000": "tests/e2e/test_pages.py",
    "`JSON(pydantic_model=CreditApplication)`": "tests/service/test_classify.py",
    "`NumpyNdarray()`": "tests/service/test_other_inputs.py",
    "`PandasDataFrame()`": "tests/service/test_other_inputs.py",
    "`async def classify(...)` with `async_run`": "tests/e2e/test_batching.py",
}
LOCUSTFILE = f"""
import numpy as np
from locust import task
from locust import between
from locust import HttpUser

sample = {SAMPLE}

class CreditRiskTestUser(HttpUser):
    @task
    def classify(self):
        self.client.post("/classify", json=sample)

    wait_time = between(0.01, 2)
"""
SERVICE = """
import bentoml
from bentoml.io import JSON

model_ref = bentoml.xgboost.get('credit_risk_model:latest')
dv = model_ref.custom_objects['DictVectorizer']
model_runner = model_ref.to_runner()
svc = bentoml.Service('credit_risk_classifier', runners=[model_runner])
"""
SAVE = """
import bentoml

latest = "credit_risk_model:latest"
model, dv = bentoml.xgboost.load_model(latest), bentoml.models.get(latest).custom_objects["DictVectorizer"]
bentoml.xgboost.save_model("credit_risk_model", model, custom_objects={"DictVectorizer": dv}, **SIGNATURES)
"""
SIGNATURES = {"signatures": {"predict": {"batchable": True, "batch_dim": 0}}}
CONFIGURATION = "runners:\n  batching:\n    enabled: true\n    max_batch_size: 100\n    max_latency_ms: 500\n"
BENTOFILE = """
service: "service.py:svc"
labels: {owner: bentoml-team, project: gallery}
include: ["*.py"]
python:
  packages: [xgboost, sklearn]
"""


class CreditApplication(BaseModel):
    """As the tutorial prints it."""

    seniority: int
    home: str
    time: int
    age: int
    marital: str
    records: str
    job: str
    expenses: int
    income: float
    assets: float
    debt: float
    amount: int
    price: int


def run(*words: str, folder: Path = PROJECT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env=user_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def python(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-c", script, folder=folder, **environment)


def test_the_table_tells_every_row_from_the_others() -> None:
    assert len(ROWS) == TABLE.count("\n|") - 2
    outcomes = ("as printed", "with another command", "with another file", "as `POST /", "no")
    assert all(outcome.startswith(outcomes) for outcome in ROWS.values())
    for row, place in HELD_ELSEWHERE.items():
        assert row in ROWS
        assert (PROJECT / place).exists()


@pytest.mark.parametrize("form", ["json", "yaml", "table"])
def test_models_are_listed_and_shown(form: str, model: StoredModel) -> None:
    listed = run(BENTOML, "models", "list", "-o", form)
    assert listed.returncode == 0
    if form != "table":
        content = json.loads(listed.stdout) if form == "json" else yaml.safe_load(listed.stdout)
        assert model.tag in [row["tag"] for row in content]
    shown = yaml.safe_load(run(BENTOML, "models", "get", model.tag).stdout)
    assert (shown["name"], shown["module"]) == ("credit_risk_model", "bentoml.xgboost")
    assert shown["signatures"]["predict"]["batchable"] is True


@pytest.mark.parametrize("signatures", [{}, SIGNATURES], ids=["plain", "batchable"])
def test_a_model_that_is_saved_as_printed_is_refused_with_the_command(
    signatures: dict[str, object], tmp_path: Path
) -> None:
    home = tmp_path / "bentoml"
    shutil.copytree(HOME / "bentoml" / "models", home / "models")
    saved = python(SAVE.replace("**SIGNATURES", f"**{signatures}"), tmp_path, BENTOML_HOME=str(home))
    assert saved.returncode == 0, saved.stdout
    served = run(BENTOML, "serve", "service:svc", "--port", "0", BENTOML_HOME=str(home))
    assert served.returncode != 0
    assert "train one with `make train`" in served.stdout


def test_the_printed_service_is_of_an_earlier_bentoml(tmp_path: Path) -> None:
    tried = python(SERVICE, tmp_path)
    assert "unexpected keyword argument 'runners'" in tried.stdout
    assert python(SERVICE.rpartition("svc =")[0], tmp_path).returncode == 0  # what stands before works


def test_the_vectorizer_lacks_what_the_printed_call_does_not_give(model: StoredModel) -> None:
    [row] = vectorizer_of(model).transform([SAMPLE]).tolist()
    assert dict(zip(model.encoder.names, row, strict=True))["financing_ratio"] == 0


def test_the_printed_class_takes_what_the_service_takes(server: Server) -> None:
    with bentoml.SyncHTTPClient(server.url) as client:
        assert client.classify(CreditApplication(**SAMPLE).model_dump())["Status"] == "MAYBE"


def test_the_printed_locustfile_runs(server: Server, tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(LOCUSTFILE)
    locust = str(Path(sys.executable).with_name("locust"))
    swarmed = run(locust, "-H", server.url, "--headless", "-u", "10", "-r", "10", "-t", "3s", folder=tmp_path)
    assert swarmed.returncode == 0, swarmed.stdout
    assert " 0(0.00%)" in swarmed.stdout


def test_the_printed_configuration_is_refused_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "printed.yaml").write_text(CONFIGURATION)
    served = run(BENTOML, "serve", "service:svc", BENTOML_CONFIG=str(tmp_path / "printed.yaml"))
    assert served.returncode != 0
    assert "move its settings to services.credit_risk_classifier" in served.stdout


def test_the_printed_bentofile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "printed.yaml").write_text(BENTOFILE)
    built = run(BENTOML, "build", "-f", str(tmp_path / "printed.yaml"))
    assert built.returncode != 0
    assert "Can't separate adding python requirements" in built.stdout
