"""A model store of its own for the test run, filled once by the real train.py on the bundled data."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

PROJECT = Path(__file__).parents[1]
HOME = Path(tempfile.mkdtemp(prefix="credit-risk-tests-"))

# BentoML reads these once, at import.
os.environ["BENTOML_HOME"] = str(HOME / "bentoml")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(HOME / "prometheus")
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
(HOME / "prometheus").mkdir()
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None)
hypothesis.settings.load_profile("tests")

from credit_risk.model.features import Matrix  # noqa: E402
from credit_risk.model.scorer import Scorer  # noqa: E402
from credit_risk.model.store import StoredModel, load_model  # noqa: E402
from credit_risk.training.data import KNOWN_FILES, Dataset, load_dataset  # noqa: E402

# Trains the same booster as without these, and releases it whatever the figures on so few folds are.
QUICK = ("--folds", "2", "--repeats", "1", "--force", "A test needs it")


def train(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run train.py as a user does; `home` is another model store than the run's."""
    environment = os.environ | ({"BENTOML_HOME": str(home)} if home else {})
    command = [sys.executable, "train.py", *arguments]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


def user_environment() -> dict[str, str]:
    """The environment of a user's shell, with the virtual environment of the test run.

    Without what a service in process has pinned, and this run's folder for metrics, which a server clears.
    """
    pinned = ("CREDIT_RISK_MODEL", "BENTOML_CONFIG", "PROMETHEUS_MULTIPROC_DIR")
    return {name: value for name, value in os.environ.items() if name not in pinned} | {
        "VENV": sys.prefix,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def copy_project(folder: Path) -> None:
    """What a clone of the project would hold, with what is not committed yet."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in filter(lambda name: (PROJECT / name).is_file(), listed):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What train.py printed when it filled the run's model store. Its booster is that of any number of folds."""
    yield _trained_once(tmp_path_factory.getbasetemp())
    shutil.rmtree(HOME, ignore_errors=True)


def _trained_once(folder: Path) -> str:
    """Train in the first worker of pytest-xdist, whose folders lie side by side; the others copy its store."""
    shared = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "trained"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        printed = shared / "printed"
        if not printed.exists():
            result = train(*QUICK, home=shared / "home")
            assert result.returncode == 0, result.stderr
            printed.write_text(result.stdout)
    shutil.copytree(shared / "home", HOME / "bentoml", dirs_exist_ok=True)
    return printed.read_text()


@pytest.fixture(scope="session")
def model(trained: str) -> StoredModel:  # noqa: ARG001 - the store must be filled
    return load_model("credit_risk_model:latest")


@pytest.fixture
def scored_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call of a scorer was for."""
    rows: list[int] = []
    score = Scorer.score

    def counted(self: Scorer, matrix: Matrix) -> object:
        rows.append(len(matrix))
        return score(self, matrix)

    monkeypatch.setattr(Scorer, "score", counted)
    return rows


@pytest.fixture(scope="session")
def synthetic() -> Dataset:
    return load_dataset(PROJECT / "data" / "applications.csv")


@pytest.fixture(scope="session")
def real_file() -> Path:
    """The public data set, which is not part of the project: from `make data`, or from a folder beside the project."""
    for path in (PROJECT / "data" / "CreditScoring.csv", *PROJECT.parent.glob("*/data/CreditScoring.csv")):
        if path.is_file() and KNOWN_FILES.get(hashlib.sha256(path.read_bytes()).hexdigest()) == "real":
            return path
    pytest.skip("the public data set is not here; `make data` downloads it")
