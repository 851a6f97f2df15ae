from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from credit_risk import __version__
from credit_risk.serving.release import release_of
from tests.conftest import PROJECT


def git(folder: Path, *arguments: str) -> str:
    names = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    command = ["git", "-C", str(folder), *names, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("content")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    git(tmp_path, "tag", "v9")  # a tag must not take the commit's place
    return tmp_path


def test_a_repository_gives_its_commit_and_says_when_it_was_changed(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")[:12]
    assert release_of(repository) == f"{__version__}+{commit}"
    (repository / "file").write_text("changed")
    assert release_of(repository) == f"{__version__}+{commit}-dirty"


def test_a_folder_within_another_repository_is_not_of_its_commit(repository: Path) -> None:
    folder = repository / "unpacked"
    folder.mkdir()
    assert release_of(folder) == f"{__version__}+unknown"


@pytest.mark.parametrize(("labels", "commit"), [({"commit": "abc123"}, "abc123"), ({}, "unknown")])
def test_a_bento_gives_the_commit_that_it_was_built_from(tmp_path: Path, labels: dict[str, str], commit: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "bento.yaml").write_text(yaml.safe_dump({"labels": labels}))
    assert release_of(tmp_path / "src") == f"{__version__}+{commit}"


def test_without_git_the_commit_is_unknown(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert release_of(repository) == f"{__version__}+unknown"


def test_this_projects_release_begins_with_its_version() -> None:
    assert release_of(PROJECT).startswith(f"{__version__}+")
