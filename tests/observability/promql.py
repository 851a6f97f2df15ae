"""Read PromQL expressions without Prometheus."""

from __future__ import annotations

import re

KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_SELECTION = re.compile(r"\{[^}]*\}|\[[^\]]*\]")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()")


def metric_names(expression: str) -> set[str]:
    """Return the metrics that an expression reads, which are its names other than functions, keywords and labels."""
    for left_out in (_STRING, _SELECTION, _LABELS):
        expression = left_out.sub(" ", expression)
    return {name for name in _NAME.findall(expression) if name.lower() not in KEYWORDS}
