"""Start-up: nothing happens on import, everything is checked once, and little is needed to serve."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.errors import CatalogueError, ModelError, PolicyError, SettingError
from credit_risk.contract.policy import load_policy
from credit_risk.deciding.log import DecisionLog, NoLog
from credit_risk.library.model import UnsavedModel
from credit_risk.model.store import StoredModel
from credit_risk.serving.batching import Batching
from credit_risk.serving.startup import start_up
from credit_risk.training.data import Dataset
from credit_risk.training.parameters import Parameters
from credit_risk.training.pipeline import train
from credit_risk.training.plan import Plan
from tests.conftest import PROJECT, user_environment
from tests.deciders import answers_of

IMPORTED = ("service", "train", "credit_risk.commands.cli", "credit_risk.commands.score", "credit_risk.replay.replayer")
READ_NOTHING = """
import importlib, os, sys

opened = []


def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path = os.path.abspath(arguments[0])
        if path.startswith(os.getcwd()) and "/.venv/" not in path and not path.endswith((".py", ".pyc")):
            opened.append(path)


sys.addaudithook(watch)
importlib.import_module(sys.argv[1])
print(opened)
"""
WITHOUT = """
import asyncio, json, sys
from time import perf_counter

ABSENT = ("sklearn", "matplotlib", "pyarrow", "pandas", "locust")


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
import service
from credit_risk.serving.endpoints import Request

service.svc.inject_config()
endpoints = service.svc().endpoints
answer = asyncio.run(endpoints.classify(Request(sys.argv[1].encode(), None, None, perf_counter())))
print(answer.status, answer.body.decode())
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    finished = subprocess.run(command, cwd=PROJECT, env=user_environment(), capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("module", IMPORTED)
def test_importing_a_module_reads_no_file(module: str) -> None:
    assert run(READ_NOTHING, module) == "[]\n"


@pytest.mark.usefixtures("trained")
def test_serving_needs_nothing_that_only_training_and_tools_need() -> None:
    from tests.corpus import SAMPLE

    status, body = run(WITHOUT, json.dumps(SAMPLE)).split(" ", 1)
    assert status == "200"
    assert json.loads(body)["Status"] in STATUSES


@pytest.mark.usefixtures("trained")
def test_a_worker_loads_no_scikit_learn_where_it_is_installed() -> None:
    start = "import sys, service; service.svc.inject_config(); service.svc(); import xgboost"
    assert run(f"{start}; print('sklearn' in sys.modules); import sklearn") == "False\n"


def test_everything_is_loaded_once_and_stays_as_it_is(model: StoredModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG", "off")
    startup = start_up({"batching": {"max_batch_size": 7}})
    assert startup.model.tag == model.tag
    assert startup.batching == Batching(max_batch_size=7)
    assert isinstance(startup.log, NoLog)
    with pytest.raises(dataclasses.FrozenInstanceError):
        startup.rulebook = startup.rulebook  # type: ignore[misc]


def test_the_log_is_where_the_settings_say(model: StoredModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CREDIT_RISK_MODEL", model.tag)
    monkeypatch.setenv("CREDIT_RISK_DECISION_LOG", str(tmp_path / "decisions"))
    assert isinstance(start_up({}).log, DecisionLog)
    assert not (tmp_path / "decisions").exists()


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        ("CREDIT_RISK_MODEL", "credit_risk_model:nowhere", ModelError),
        ("CREDIT_RISK_POLICY", "nowhere.yaml", PolicyError),
        ("CREDIT_RISK_REASONS", "nowhere.yaml", CatalogueError),
        ("CREDIT_RISK_API_KEYS_FILE", "nowhere.json", SettingError),
        ("CREDIT_RISK_WORKERS", "none", SettingError),
    ],
)
def test_what_is_wrong_is_told_at_once(
    variable: str, value: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(error):
        start_up({})


def test_a_policy_that_nobody_could_pass_is_refused(
    model: StoredModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "policy.yaml"
    monkeypatch.setenv("CREDIT_RISK_POLICY", str(path))
    policy = yaml.safe_load((PROJECT / "policy.yaml").read_text())
    for cutoff in (math.nextafter(model.lowest_probability, 0), model.lowest_probability):
        path.write_text(yaml.safe_dump({**policy, "cutoffs": {"review_above": cutoff, "decline_above": 0.5}}))
        refused = cutoff < model.lowest_probability
        with pytest.raises(PolicyError, match="approves nobody") if refused else nullcontext():
            start_up({})
    best = EXAMPLE.model_copy(update=model.metadata["references"][0]["applicant"])
    [answer] = answers_of(model, [best], load_policy(path))
    assert json.loads(answer)["Status"] == "APPROVED"


def test_a_model_that_decides_by_age_needs_a_setting(synthetic: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan.of(Parameters(), protected=True, seed=1, folds=2, repeats=1, threads=None)
    protected = UnsavedModel.of(train(synthetic, plan, lambda: None), synthetic, plan)
    monkeypatch.setattr("credit_risk.serving.startup.load_model", lambda _: protected)
    with pytest.raises(ModelError, match=r"decides by age and marital, .* set CREDIT_RISK_ALLOW_PROTECTED=true$"):
        start_up({})
    monkeypatch.setenv("CREDIT_RISK_ALLOW_PROTECTED", "true")
    assert start_up({}).model is protected


def test_a_model_that_is_not_batchable_is_not_batched(model: StoredModel, monkeypatch: pytest.MonkeyPatch) -> None:
    unbatchable = dataclasses.replace(model, batchable=False)
    monkeypatch.setattr("credit_risk.serving.startup.load_model", lambda _: unbatchable)
    assert start_up({}).batching.enabled is False


def test_a_service_without_neighbours_does_not_load_what_speaks_to_them(trained: str) -> None:  # noqa: ARG001 - a model
    script = "import sys, service; print(sorted({'redis', 'aiohttp'} & set(sys.modules)))"
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert found == "[]\n"
