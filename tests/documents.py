"""Tables and diagrams for the docs, made from the code that they describe: `make docs`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from attack.catalogue import ATTACKS
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.model.explainer import FIELDS_BEHIND
from credit_risk.serving.settings import PROJECT, Batching, Settings, variable_of
from tests.test_layers import FLOORS, PACKAGE, imports_of, name_of, room_of

FIELDS_OF_RULES = {
    "P01": ["income"],
    "P02": ["amount", "price"],
    "P03": ["amount"],
    "P04": ["assets"],
    "P05": ["debt"],
}
SHOWN_AS = {"decision_log": "`decisions` in `BENTOML_HOME`"}


def settings_table() -> str:
    """Tabulate the environment variables."""
    return _table("variable", Settings, variable_of)


def batching_table() -> str:
    """Tabulate `batching` in bentoconfiguration.yaml."""
    return _table("setting", Batching, str)


def attacks_table() -> str:
    """Tabulate the attacks of `make attack`."""
    rows = [f"| `{attack.name}` | {attack.sentence.rstrip('.')} |" for attack in ATTACKS.values()]
    return "\n".join(["| attack | what is done |", "|---|---|", *rows])


def reasons_table() -> str:
    """Tabulate the codes of reasons, with the project's texts and what they are about."""
    fields = FIELDS_BEHIND | FIELDS_OF_RULES
    rows = [
        f"| {code} | {text} | {', '.join(f'`{field}`' for field in fields[code])} |"
        for code, text in load_catalogue(PROJECT / "reasons.yaml").reasons.items()
    ]
    return "\n".join(["| code | text | fields |", "|---|---|---|", *rows])


def _table(heading: str, model: type[BaseModel], name_of_field: Any) -> str:
    lines = [f"| {heading} | default | what it sets |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        lines.append(f"| `{name_of_field(name)}` | {_default(name, field)} | {field.description} |")
    return "\n".join(lines)


def _default(name: str, field: FieldInfo) -> str:
    if name in SHOWN_AS:
        return SHOWN_AS[name]
    default = field.get_default(call_default_factory=False)
    if default in (None, PydanticUndefined, {}, ()):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{str(default).removeprefix(f'{PROJECT}/')}`"


def import_diagram() -> str:
    """Draw which room imports which, as a Mermaid diagram, the highest floor on top."""
    imports: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE:
        room = room_of(name_of(path))[0]
        imports[room] |= {room_of(i)[0] for i in imports_of(path) if i.startswith("credit_risk.")}
    lines = ["```mermaid", "flowchart TD"]
    for number, rooms in enumerate(reversed(FLOORS)):
        lines += [f"  subgraph floor{number}[ ]", *(f"    {room}" for room in rooms), "  end"]
    for rooms in reversed(FLOORS):
        for room in rooms:
            lines += [f"  {room} --> {other}" for other in sorted(imports[room] - {room, ""})]
    return "\n".join([*lines, "```"])
