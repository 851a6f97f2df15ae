"""The notebooks run, and show what is kept in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebook.executing import NOTEBOOKS, executed


def shown(notebook: nbformat.NotebookNode) -> list[Any]:
    """What the cells of a notebook show, as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["text"] if "text" in output else output["data"]["text/plain"] for output in outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_shows_what_is_kept_in_it(path: Path) -> None:
    kept = shown(nbformat.read(path, as_version=4))
    assert len(kept) >= 5
    assert shown(executed(path)) == kept, "run `make notebooks`"
