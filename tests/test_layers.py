"""The floors and rooms of the house: imports go down only, never sideways, never around in a circle."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import PROJECT

# The floors from the ground up. Rooms on one floor do not import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("contract",),
    ("model", "record"),
    ("training", "deciding"),
    ("portfolio", "replay"),
    ("jobs",),
    ("serving",),
    ("commands", "library"),
)
# The rooms within serving, from the ground up; "" is serving itself.
SERVING = ("", "http", "bento")
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PACKAGE = sorted(PROJECT.glob("credit_risk/**/*.py"))
MODULES = [*PACKAGE, PROJECT / "service.py", PROJECT / "train.py"]

# The ground floor is Pydantic with what it is made of, YAML for the policy, and the standard library.
GROUND = {"pydantic", "pydantic_core", "annotated_types", "yaml"}
# Libraries that only some rooms may import: the insides of others, and what the image does without.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "bentoml._internal": ("credit_risk.serving.bento",),
    "_bentoml_impl": ("credit_risk.serving.bento",),
    "_bentoml_sdk": ("credit_risk.serving.bento",),
    "uvicorn": ("credit_risk.serving.bento",),
    "circus": ("credit_risk.serving.bento",),
    "prometheus_client": (
        "credit_risk.serving.metrics",
        "credit_risk.serving.neighbours",
        "credit_risk.serving.job_metrics",
        "credit_risk.serving.histograms",
        "credit_risk.serving.stage_metrics",
    ),
    "bentoml": ("credit_risk.serving.bento", "credit_risk.model.store", "credit_risk.model.recorded", "service"),
    "sklearn": ("credit_risk.training",),
    "scipy": ("credit_risk.training",),
    "matplotlib": ("credit_risk.training", "credit_risk.replay.plot"),
    "pyarrow": (
        "credit_risk.portfolio",
        "credit_risk.jobs",
        "credit_risk.commands.features",
        "credit_risk.commands.score",
        "credit_risk.library",
    ),
    "huey": ("credit_risk.jobs.queue", "credit_risk.jobs.worker"),
    "ray": ("credit_risk.portfolio.ray_engine", "credit_risk.jobs.deciding"),
    "redis": (
        "credit_risk.deciding.redis_store",
        "credit_risk.jobs.queue",
        "credit_risk.jobs.redis_store",
        "credit_risk.portfolio.redis_profiles",
    ),
    "starlette": ("credit_risk.serving", "service"),
    "click": ("credit_risk.commands", "credit_risk.serving.bento", "train"),
}
MAX_LINES = 220


def name_of(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in PACKAGE}


def imports_of(path: Path, *, for_types: bool = True) -> Iterator[str]:
    """Give the modules that a module imports, in full. `for_types` includes those that only type checkers see."""
    tree = ast.parse(path.read_text())
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in NAMES else str(node.module)


def is_within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def room_of(module: str) -> tuple[str, str]:
    """Give the room of a module of the package, and the room within it; ("", "") is the package itself."""
    parts = [*module.split(".")[1:], "", ""]
    inner = parts[1] if parts[0] == "serving" and parts[1] in SERVING else ""
    return (parts[0] if parts[0] in FLOOR_OF else ""), inner


def may_import(module: str, imported: str) -> bool:
    """Tell whether a module may import another one of the package."""
    (room, inner), (other, other_inner) = room_of(module), room_of(imported)
    if not other:  # the version
        return True
    if not room:  # the entry, which starts the command line or the library
        return other in ("commands", "library")
    if room == other:
        return room != "serving" or SERVING.index(other_inner) <= SERVING.index(inner)
    return FLOOR_OF[other] < FLOOR_OF[room]


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    module = name_of(path)
    for imported in imports_of(path):
        if imported.startswith("credit_risk"):
            assert may_import(module, imported), f"{module} imports {imported}, which is above it or beside it"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    module = name_of(path)
    for imported in imports_of(path, for_types=False):
        for library, places in ONLY_IN.items():
            if is_within(imported, (library,)) and not is_within(module, places):
                pytest.fail(f"{module} imports {imported}, which only {', '.join(places)} may")


def test_no_imports_go_around_in_a_circle() -> None:
    graph = {
        name_of(path): {imported for imported in imports_of(path, for_types=False) if imported in NAMES}
        for path in PACKAGE
    }
    assert set(TopologicalSorter(graph).static_order()) == NAMES


def test_every_room_is_on_a_floor() -> None:
    rooms = {path.parent.name for path in PROJECT.glob("credit_risk/*/__init__.py")}
    assert rooms == set(FLOOR_OF)


def test_the_ground_floor_needs_little() -> None:
    for path in PROJECT.glob("credit_risk/contract/*.py"):
        roots = {imported.split(".")[0] for imported in imports_of(path)}
        assert roots <= GROUND | sys.stdlib_module_names | {"credit_risk"}, path


def test_modules_are_small() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    too_long = {name: length for name, length in lengths.items() if length > MAX_LINES}
    assert too_long == {}


def test_the_tests_mirror_the_rooms() -> None:
    for room in FLOOR_OF:
        assert list((PROJECT / "tests" / room).glob("test_*.py")), f"no tests of {room}"
