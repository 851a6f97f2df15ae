"""Which code decides: the version of this project and the commit, for the record."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from credit_risk import __version__

COMMIT_LABEL = "commit"  # of a bento
UNKNOWN = "unknown"


def release_of(project: Path) -> str:
    """Name the version and the commit of the code in this folder, such as `0.2.0+98d7aed4ad25`.

    The commit comes from the bento that the folder is in, or else from git; `-dirty` marks changes that were not
    committed.
    """
    return f"{__version__}+{_commit_of_bento(project) or commit_of(project)}"


def commit_of(project: Path) -> str:
    """Ask git for the commit that is checked out in this folder. Answers `unknown` if there is none."""
    if not (project / ".git").exists():  # git would go on looking in the folders above
        return UNKNOWN
    command = ["git", "-C", str(project), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return UNKNOWN
    return found.stdout.strip() or UNKNOWN


def _commit_of_bento(project: Path) -> str | None:
    """Read the label that `bentoml build` gave the bento, whose `src` folder this is."""
    try:
        bento = yaml.safe_load((project.parent / "bento.yaml").read_text(encoding="utf-8"))
    except OSError:
        return None
    return str(bento["labels"].get(COMMIT_LABEL, UNKNOWN))
