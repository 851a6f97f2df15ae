from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from credit_risk.contract.catalogue import SAID_BY_RULE, load_catalogue
from credit_risk.contract.errors import CatalogueError
from tests.conftest import PROJECT


def catalogue() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((PROJECT / "reasons.yaml").read_text())
    return content


def refusal_of(folder: Path, reasons: dict[str, str]) -> str:
    path = folder / "reasons.yaml"
    path.write_text(yaml.safe_dump(catalogue() | {"reasons": reasons}))
    with pytest.raises(CatalogueError) as raised:
        load_catalogue(path)
    return str(raised.value)


def test_two_reasons_that_an_applicant_could_not_tell_apart_are_refused(tmp_path: Path) -> None:
    texts = catalogue()["reasons"]
    refusal = refusal_of(tmp_path, texts | {"R02": f" {texts['R08'].upper()}"})
    assert refusal.endswith("R02 and R08 have the same text")


@pytest.mark.parametrize(("rule", "score"), SAID_BY_RULE.items())
def test_a_rule_may_say_what_the_score_would_say(tmp_path: Path, rule: str, score: str) -> None:
    texts = catalogue()["reasons"]
    assert texts[rule] == texts[score]
    assert "P02" in refusal_of(tmp_path, texts | {"P02": texts[rule]})


def test_missing_and_unknown_codes_are_named(tmp_path: Path) -> None:
    texts = catalogue()["reasons"]
    del texts["R14"]
    refusal = refusal_of(tmp_path, texts | {"R99": "Something else"})
    assert "no text for R14; there is no R99" in refusal
