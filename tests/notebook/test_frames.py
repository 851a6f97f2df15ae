"""Applications in DataFrames. Only here are tests with pandas: it makes the start of every process slower."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
import requests
from starlette.testclient import TestClient

from credit_risk import DataError, decide, load, train
from credit_risk.contract.application import EXAMPLE
from credit_risk.contract.tables import parse_table
from credit_risk.model.store import StoredModel
from credit_risk.training.data import Dataset
from tests.conftest import PROJECT
from tests.deciders import answers_of
from tests.library.test_library import as_columns
from tests.service.conftest import client

__all__ = ["client"]  # a fixture
BUNDLED = PROJECT / "data" / "applications.csv"


def test_a_frame_gives_a_frame_with_its_index(model: StoredModel, synthetic: Dataset) -> None:
    applications = synthetic.applications[:500]
    rows = [application.model_dump() for application in applications]
    answers = [json.loads(answer) for answer in answers_of(model, applications)]
    loaded = load(model.tag)
    frame = pd.DataFrame(rows, index=[f"id {number}" for number in range(len(rows))])
    frame["home"], frame["branch"] = frame["home"].astype("category"), 7
    decided = decide(loaded, frame)
    assert decided.index.equals(frame.index)
    assert decided.to_dict("records") == [as_columns(answer) for answer in answers]
    assert decide(loaded, frame.iloc[:0]).empty


def test_a_faulty_frame_is_refused() -> None:
    with pytest.raises(DataError, match="position 1, home: must be exactly one of"):
        decide(None, pd.DataFrame([EXAMPLE.model_dump(), EXAMPLE.model_dump() | {"home": "Castle"}]))
    with pytest.raises(DataError, match="the table of applications lacks the column seniority"):
        decide(None, pd.DataFrame({"home": ["rent"]}))
    with pytest.raises(DataError, match="a column holds values of several types; give each column one type"):
        decide(None, pd.DataFrame({"home": ["rent", 7]}))


def test_a_frame_is_trained_on_as_a_file_is(model: StoredModel) -> None:
    frame = pd.read_csv(BUNDLED).replace(99_999_999, None).astype({"Home": "category", "Status": "float"})
    trained = train(frame, folds=2, repeats=1, source="synthetic")
    assert trained.metadata["booster_sha256"] == model.sha256


def test_the_tables_that_pandas_writes_are_read(synthetic: Dataset) -> None:
    applications = synthetic.applications[:500]
    frame = pd.DataFrame([application.model_dump() for application in applications])
    frame["time"] = frame["time"].astype("float64")
    written = [frame.to_json(orient="records"), frame.to_json(orient="split"), frame.to_csv(index=False)]
    written += [
        frame.to_json(orient="split", index=False),
        frame.set_index(frame["home"] + '"').to_json(orient="split"),
    ]
    for text in written:
        assert [application for part in parse_table(text.encode()) for application in part] == applications


def test_the_example_of_the_docs_runs(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []

    def post(url: str, *, data: str, headers: dict[str, str] | None = None) -> object:
        answers.append(client.post(url.removeprefix("http://localhost:3000"), content=data, headers=headers))
        return answers[-1]

    monkeypatch.setattr(requests, "post", post)
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "api.md").read_text(), re.DOTALL)
    [example] = [block for block in blocks if "pandas" in block]
    exec(example, {})
    assert [len(answer.json()) for answer in answers] == [2, 2, 2]
