from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from credit_risk.contract.policy import load_policy
from credit_risk.model.features import MONOTONE, Encoder
from credit_risk.training.alternatives import Alternative, Search
from credit_risk.training.calibration import Recalibration
from credit_risk.training.card import ModelCard
from credit_risk.training.data import PUBLIC_FILE, Dataset
from credit_risk.training.evaluation import Outcomes, Performance, Probabilities
from credit_risk.training.figures import Economics, Sample
from credit_risk.training.recipe import PARAMETERS, ROUNDS, fit_vectorizer
from credit_risk.training.resampling import Interval, bootstrap
from credit_risk.training.stability import Changes, Stability
from credit_risk.training.validation import Comparison, Validation
from tests.conftest import PROJECT

PLOTS = 9


def alternative(without: list[str], auc: float, ratio: float) -> Alternative:
    cost = Interval(0.85 - auc, 0.84 - auc, 0.86 - auc) if without else None
    return Alternative(without, auc, cost, 0.61, ratio, ratio + 0.05, ratio)


def validation_of(default: Outcomes, probability: Probabilities, least_auc: float = 0.8311) -> Validation:
    own, one = alternative([], 0.85, 0.7512), alternative(["seniority"], least_auc, 0.8123)
    return Validation(
        len(default),
        [Comparison("scorecard", 0.8412, 0.9623, 0.0234, Interval(0.0123, -0.0012, 0.0258))],
        Recalibration.of(default, probability),
        bootstrap(default, probability, seed=1),
        Stability(890, 20, Changes(0.0381, 0.0262, 0.0523, 0.0), Changes(0.0984, 0.0765, 0.1216, 0.0005)),
        Search(len(default), "18 to 24", "single", [own, one]),
    )


def card_of(
    dataset: Dataset, tag: str = "credit_risk_model:abc", validation: Validation | None = None, **metadata: Any
) -> ModelCard:
    """The card of a model that does not exist, with probabilities that are as good as chance and better."""
    rng = np.random.default_rng(2)
    probability = np.clip(0.25 * dataset.default + rng.beta(1.2, 3, len(dataset)), 0.01, 0.99)
    figures = asdict(Performance.of(dataset.default, probability))
    held_out = np.arange(0, len(dataset), 5)
    features = Encoder.of(fit_vectorizer(dataset.applications, protected=False)).names
    training = {
        "data_source": dataset.source,
        "data_sha256": dataset.sha256,
        "rows": len(dataset),
        "default_rate": float(dataset.default.mean()),
        "protected": "exclude",
        "seed": 1,
        "rounds": ROUNDS,
        "parameters": PARAMETERS,
        "cross_validation": {"mean": figures, "sd": figures, "aucs": [figures["auc"]] * 25},
        "tutorial_cross_validation": {"mean": figures, "sd": figures, "aucs": [figures["auc"]] * 25},
        "test": figures,
        "versions": {"xgboost": "3.2.1"},
    }
    return ModelCard.of(
        training | metadata,
        tag=tag,
        trained=datetime(2026, 11, 21, 12, tzinfo=UTC),
        booster_sha256="0123abcd" * 8,
        features=features,
        policy=load_policy(PROJECT / "policy.yaml"),
        test=Sample(dataset.applications.take(held_out), dataset.default[held_out], probability[held_out]),
        out_of_fold=Sample(dataset.applications, dataset.default, probability),
        contributions={"seniority": rng.normal(size=9), "income": rng.normal(size=9)},
        economics=Economics(margin=0.1, loss_given_default=0.5),
        validation=validation or validation_of(dataset.default, probability),
    )


@pytest.fixture(scope="module")
def card(synthetic: Dataset) -> ModelCard:
    return card_of(synthetic)


@pytest.fixture(scope="module")
def html(card: ModelCard) -> str:
    return card.to_html()


@pytest.fixture(scope="module")
def page(html: str) -> ElementTree.Element:
    """The page as XML, which it is only if every tag is closed and every attribute quoted."""
    return ElementTree.fromstring(html)


def text_of(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_the_same_training_gives_the_same_bytes_in_any_process(card: ModelCard, html: str, synthetic: Dataset) -> None:
    again = card_of(synthetic)
    assert (again.to_html(), again.to_json()) == (html, card.to_json())
    program = (
        "import sys; from tests.training.test_card import card_of, PROJECT;"
        "from credit_risk.training.data import load_dataset;"
        "sys.stdout.buffer.write(card_of(load_dataset(PROJECT / 'data' / 'applications.csv')).to_html().encode())"
    )
    other = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, check=True).stdout
    assert other.decode() == html


def test_the_page_asks_the_network_for_nothing_and_is_small(html: str, page: ElementTree.Element) -> None:
    assert "http" not in html
    assert not {element.tag for element in page.iter()} & {"script", "link", "img", "iframe", "object", "image"}
    assert not re.findall(r"\bsrc=|@import|url\((?!#)", html)
    assert len(html.encode()) < 400_000


def test_ids_are_unique_and_what_is_referred_to_is_there(html: str, page: ElementTree.Element) -> None:
    ids = [element.attrib["id"] for element in page.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', html)) <= set(ids)


def test_plots_have_labels_and_the_colours_of_the_page(page: ElementTree.Element) -> None:
    plots = page.findall(".//svg")
    assert len(plots) == PLOTS
    for plot in plots:
        title, rest = plot.attrib["aria-label"].split(": ", 1)
        up, along = rest.split(". ")[0].split(", by ")
        assert {title, up, along} <= {text_of(text) for text in plot.iter("text")}
        assert "(" in along
        assert not re.findall(r"#[0-9a-f]{6}", ElementTree.tostring(plot, "unicode"))


def test_tables_have_captions_and_headings(page: ElementTree.Element) -> None:
    tables = page.findall(".//table")
    assert len(tables) == 12
    for table in tables:
        assert text_of(next(table.iter("caption")))
        assert all("scope" in heading.attrib for heading in table.iter("th"))


def values_of(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from (key, *values_of(inner))
    else:
        yield value


def test_json_has_every_number_that_the_page_shows(card: ModelCard, page: ElementTree.Element) -> None:
    values = list(values_of(json.loads(card.to_json())))
    shown = {token for value in values if isinstance(value, str) for token in re.findall(r"\d[\d,.]*", value)}
    for number in (value for value in values if isinstance(value, int | float)):
        shown |= {f"{number:,}", f"{number:.2f}", f"{number:.3f}", f"{number:.4f}"}
        shown |= {f"{abs(100 * number):.1f}", f"{abs(100 * number):.2f}", f"{abs(number):.4f}"}
    cells = " ".join(text_of(cell) for tag in ("td", "dd", "figcaption") for cell in page.iter(tag))
    said = {"95", "20", "30"}  # the interval's level, the width of a band, the least group
    found = {token.rstrip(".,") for token in re.findall(r"\d[\d,.]*", cells)} - said
    assert len(found) > 100
    assert found - shown == set()


def test_synthetic_is_in_plain_sight(card: ModelCard, page: ElementTree.Element, synthetic: Dataset) -> None:
    header = text_of(next(page.iter("header")))
    assert "SYNTHETIC DATA" in header
    assert "not for lending" in header
    assert json.loads(card.to_json())["training"]["data_source"] == "synthetic"
    real = card_of(synthetic, data_source="real", data_sha256=PUBLIC_FILE).to_html()
    assert "REAL DATA" in real
    assert "synthetic" not in real.lower().split("</style>")[1]


def test_what_is_said_depends_on_the_training(html: str, synthetic: Dataset) -> None:
    other = card_of(synthetic, protected="include", data_source="real", data_sha256="0" * 64).to_html()
    assert "asked for and checked, not used" in html
    assert "was trained with age and marital status" in other
    assert "pesetas" in html
    assert "pesetas" not in other


def test_the_constraints_are_the_model_s(card: ModelCard, page: ElementTree.Element) -> None:
    table = page.find(".//table[@id='constraints']")
    assert table is not None
    rows = {text_of(row[0]): {text_of(name) for name in row.iter("code")} for row in table.iter("tr")}
    assert rows["never falls"] == {name for name in card.features if MONOTONE.get(name) == 1}
    assert rows["never rises"] == {name for name in card.features if MONOTONE.get(name) == -1}
    assert set().union(*rows.values()) == set(card.features)


def test_the_policy_s_cutoffs_are_marked(page: ElementTree.Element) -> None:
    marked = page.findall(".//table[@id='cutoffs']//tr[@class='marked']")
    assert [text_of(row[0]) for row in marked] == ["0.167 (break-even)", "0.30 (review)", "0.50 (decline)"]


def test_the_tag_and_the_date_are_told_and_stand_apart(card: ModelCard, page: ElementTree.Element) -> None:
    assert text_of(next(page.iter("h1"))) == "credit_risk_model:abc"
    assert "2026-11-21" in text_of(next(page.iter("header")))
    content = json.loads(card.to_json())
    assert content.pop("identity") == {"tag": "credit_risk_model:abc", "trained": "2026-11-21T12:00:00+00:00"}
    assert "credit_risk_model:abc" not in json.dumps(content)


def test_the_cutoffs_are_said_to_lie_above_break_even(card: ModelCard, page: ElementTree.Element) -> None:
    note, beyond = page.find(".//p[@id='break-even']"), card.out_of_fold.beyond_break_even
    assert note is not None
    assert beyond is not None
    said = text_of(note)
    assert "lie above break-even: review by 13.3 and decline by 33.3 percentage points" in said
    assert f"{beyond.n:,} applications" in said
    assert f"{100 * beyond.bad_rate:.1f}" in said


def test_an_alternative_that_costs_nothing_is_pointed_out(html: str, synthetic: Dataset) -> None:
    assert "Look closer" not in html
    half = np.full(len(synthetic), 0.3)
    free = card_of(synthetic, validation=validation_of(synthetic.default, half, least_auc=0.849)).to_html()
    assert "Look closer at the model without seniority." in free


def test_what_comes_from_outside_is_escaped(synthetic: Dataset) -> None:
    page = card_of(synthetic, tag="<script>&").to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;&amp;" in page


def test_the_service_needs_neither_matplotlib_nor_templates() -> None:
    program = (
        "import sys, credit_risk.serving.endpoints, credit_risk.model.store;"
        "print(*{'matplotlib', 'credit_risk.training.card', 'credit_risk.training.figures'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
