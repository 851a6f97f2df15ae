"""An answer of /classify, made from a row of a file of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credit_risk.contract.warning import WARNINGS

_TEXTS = {warning.code: warning.text for warning in WARNINGS}


def answer_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row of decisions as the service answers it, without its id."""
    reasons = [{"code": c, "text": t} for c, t in zip(row["reasons"], row["reason_texts"], strict=True)]
    warnings = [{"code": code, "text": _TEXTS[code]} for code in row["warnings"]]
    kept = {name: row[name] for name in ("Status", "probability_of_default", "score")}
    return {**kept, "reasons": reasons, "warnings": warnings, "model": row["model"], "policy": row["policy"]}
