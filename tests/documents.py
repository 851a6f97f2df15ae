"""Tables and diagrams for the docs, made from the code that they describe: `make docs`.

The figures on the public data set come from the card of a model that was trained on it, because that data set is not
part of the project: `python -m tests.documents CARD.json` takes them over.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from attack.catalogue import ATTACKS
from credit_risk.contract.catalogue import load_catalogue
from credit_risk.model.explainer import FIELDS_BEHIND
from credit_risk.serving.batching import Batching
from credit_risk.serving.settings import PROJECT, Settings, variable_of
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


def review_reasons_table() -> str:
    """Tabulate the codes of reasons that only a person finds out."""
    rows = [f"| {code} | {text} |" for code, text in load_catalogue(PROJECT / "reasons.yaml").review.items()]
    return "\n".join(["| code | text |", "|---|---|", *rows])


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


PUBLIC_FIGURES = PROJECT / "docs" / "public-data.json"
RESAMPLED = {"auc": "AUC", "calibration_slope": "calibration slope", "ece": "ECE"}
LABELS = {"auc": "AUC", "ks": "KS", "gini": "Gini", "brier": "Brier score", "log_loss": "log loss"} | RESAMPLED


def figures_of(card: dict[str, Any]) -> dict[str, Any]:
    """Take what the docs show from a card, to four places."""
    training, validation = card["training"], card["validation"]
    figures = {name: training[name] for name in ("cross_validation", "tutorial_cross_validation")}
    figures |= {name: validation[name] for name in ("comparisons", "bootstrap", "recalibration", "stability")}
    rounded: dict[str, Any] = json.loads(json.dumps(figures), parse_float=lambda number: round(float(number), 4))
    for name in ("cross_validation", "tutorial_cross_validation"):
        del rounded[name]["aucs"]
    return rounded


def public_figures() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(PUBLIC_FIGURES.read_text())
    return figures


def figures_table() -> str:
    """Tabulate the model and the tutorial's on the public data set."""
    found = public_figures()
    lines = ["| | this model | 95 % interval | the tutorial's model |", "|---|---|---|---|"]
    for name, label in LABELS.items():
        ours, tutorials = (
            f"{found[model]['mean'][name]:.4f} ± {found[model]['sd'][name]:.4f}"
            for model in ("cross_validation", "tutorial_cross_validation")
        )
        interval = _interval(found["bootstrap"][name]) if name in RESAMPLED else ""
        lines.append(f"| {label} | {ours} | {interval} | {tutorials} |")
    return "\n".join(lines)


def comparisons_table() -> str:
    """Tabulate what the model gains over others on the public data set."""
    lines = ["| | AUC | slope | ECE | gain of this model (95 % interval) |", "|---|---|---|---|---|"]
    for row in public_figures()["comparisons"]:
        figures = f"{row['auc']:.4f} | {row['calibration_slope']:.3f} | {row['ece']:.4f}"
        lines.append(f"| {row['name']} | {figures} | {row['gain']['value']:+.4f} ({_interval(row['gain'])}) |")
    return "\n".join(lines)


def _interval(interval: dict[str, float]) -> str:
    return f"{interval['low']:.4f} to {interval['high']:.4f}"


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


if __name__ == "__main__":
    found = figures_of(json.loads(Path(sys.argv[1]).read_text()))
    PUBLIC_FIGURES.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
