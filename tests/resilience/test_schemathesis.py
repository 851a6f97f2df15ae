"""The API keeps to its own description, whatever Schemathesis makes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Server, serving

# A JSON schema can't say which rows a model gives, nor that cells have the types of their columns; nor which files and
# receivers a job may name, nor how long a result is. So what fits the schema may be refused all the same. And a job is
# taken before its file is read. DELETE cancels a job at first, which is still there then. And an Idempotency-Key may
# have come with another request before. Nor can a schema say which characters are
# printable, nor from which day on a loan may have an outcome.
CONFIGURATION = """
hooks = "hooks.py"

[checks]
use_after_free.enabled = false

[[operations]]
include-path-regex = "/classify_(array|table)|/jobs$|/(result|rejects|outcome)$"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path-regex = "/classify(_batch)?$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "409", "422", "429", "5xx"]

[[operations]]
include-path = "/jobs"
checks.negative_data_rejection.enabled = false
"""
HOOKS = """
import schemathesis


@schemathesis.hook
def filter_body(context, body):
    items = body if isinstance(body, list) else [body]
    references = [item.get("reference") for item in items if isinstance(item, dict)]
    texts = [item.get(name) for item in items if isinstance(item, dict) for name in ("reviewer", "note")]
    return all(each.isprintable() for each in references + texts if isinstance(each, str))


schemathesis.serializer.alias(["application/x-ndjson", "application/jsonl"], "text/plain")
schemathesis.deserializer("application/vnd.apache.parquet")(lambda context, response: response.content.hex())
"""
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")


@pytest.fixture(scope="module")
def running_jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("jobs")
    with serving(
        "--production",
        CREDIT_RISK_JOBS=f"sqlite:///{folder}/jobs.sqlite",
        CREDIT_RISK_JOBS_FOLDER=str(folder),
        CREDIT_RISK_JOBS_WORKERS="1",
        CREDIT_RISK_JOBS_PER_CALLER="10000",
        CREDIT_RISK_JOBS_QUEUE="10000",
    ) as server:
        yield server


def test_the_api_is_as_it_describes_itself(running_jobs: Server, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    (tmp_path / "hooks.py").write_text(HOOKS)
    command = [str(Path(sys.executable).with_name("st")), "run", f"{running_jobs.url}/openapi.json", "--seed", SEED]
    options = [
        "--max-examples",
        "100",
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--generation-database",
        "none",
    ]
    run = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    print(run.stdout)  # noqa: T201 - the seed and the cases, for pytest -s and for a failure
    assert run.returncode == 0, run.stdout
    generated, passed = map(int, re.findall(r"(\d+) generated, (\d+) passed", run.stdout)[0])
    assert generated == passed >= 300
    assert f"Seed: {SEED}" in run.stdout
