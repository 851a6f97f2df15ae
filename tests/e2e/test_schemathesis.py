"""The API keeps to its own description, whatever Schemathesis makes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Server

# A JSON schema can't say which rows a model gives, nor that cells have the types of their columns. So what fits the
# schema may be refused all the same.
CONFIGURATION = """
[[operations]]
include-path-regex = "/classify_(array|table)"
checks.positive_data_acceptance.enabled = false
"""
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")


def test_the_api_is_as_it_describes_itself(server: Server, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    command = [str(Path(sys.executable).with_name("st")), "run", f"{server.url}/openapi.json", "--seed", SEED]
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
