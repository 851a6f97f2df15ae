"""The floors of the house: imports go down only."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

FLOORS = {"contract": 0, "model": 1, "serving": 2}
TOP = 3
MODULES = [*PROJECT.glob("credit_risk/**/*.py"), PROJECT / "service.py", PROJECT / "train.py"]
# The ground floor is Pydantic (with what it is made of), YAML for the policy, and the standard library.
GROUND = {"pydantic", "pydantic_core", "annotated_types", "yaml"}


def floor_of(module: str) -> int:
    if module == "credit_risk.__version__":
        return 0
    parts = module.split(".")
    return FLOORS.get(parts[1], TOP) if parts[0] == "credit_risk" and len(parts) > 1 else TOP


def imports_of(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_imports_go_down_only(path: Path) -> None:
    module = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
    for imported in imports_of(path):
        if imported.startswith("credit_risk."):
            assert floor_of(imported) <= floor_of(module), f"{module} imports {imported}, which is above it"


def test_the_ground_floor_needs_pydantic_yaml_and_the_standard_library_only() -> None:
    for path in PROJECT.glob("credit_risk/contract/*.py"):
        roots = {imported.split(".")[0] for imported in imports_of(path)}
        assert roots <= GROUND | sys.stdlib_module_names | {"credit_risk"}, path


def test_only_the_store_and_the_service_know_bentoml() -> None:
    knowing = {
        str(path.relative_to(PROJECT))
        for path in MODULES
        if any(imported.split(".")[0] in ("bentoml", "_bentoml_sdk", "_bentoml_impl") for imported in imports_of(path))
    }
    assert knowing == {
        "service.py",
        "credit_risk/serving/bento.py",
        "credit_risk/serving/image.py",
        "credit_risk/model/store.py",
    }


def test_modules_are_small() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert max(lengths.values()) <= 220, max(lengths, key=lambda path: lengths[path])
