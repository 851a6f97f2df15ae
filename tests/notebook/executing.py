"""Execute the notebooks in examples/ and keep what they show: `make notebooks`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.conftest import PROJECT, user_environment

NOTEBOOKS = sorted((PROJECT / "examples").glob("*.ipynb"))


def executed(path: Path) -> nbformat.NotebookNode:
    """Give a notebook with what it shows now. Raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(PROJECT)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, resources=folder)
    client.execute(env=user_environment())
    return notebook


if __name__ == "__main__":
    for path in NOTEBOOKS:
        nbformat.write(executed(path), path)
