"""The model card: what a model is for, how good it is, and its limits, as JSON and as an HTML page."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from credit_risk.contract.decision import POINTS_TO_DOUBLE_ODDS
from credit_risk.contract.policy import Policy
from credit_risk.model.features import MONOTONE
from credit_risk.training.data import KNOWN_FILES
from credit_risk.training.figures import MIN_GROUP, Economics, Sample, SampleFigures, mean_absolute, scores

WIDTH, HEIGHT = 4.8, 3.3  # of a plot, in inches
# Colours that occur nowhere else, to be replaced by those of the page, light or dark.
INK, ACCENT, GOOD, BAD, MUTED = "#010101", "#010201", "#010301", "#010401", "#010501"
VARIABLES = {INK: "ink", ACCENT: "accent", GOOD: "good", BAD: "bad", MUTED: "muted"}
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "model card",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@dataclass(frozen=True)
class ModelCard:
    """The content of the card. It holds neither a time nor a version, so the same training gives the same bytes."""

    model: str
    booster_sha256: str
    training: dict[str, Any]  # data, parameters and figures, as in the model's metadata
    known_data: bool  # the public data set, or the synthetic rows that resemble it
    features: dict[str, int]  # constraint of each, as in MONOTONE
    policy: dict[str, Any]
    economics: dict[str, float]
    test: SampleFigures  # of the saved booster, on rows that it never saw
    out_of_fold: SampleFigures  # of the recipe: each row by a booster that never saw it
    contributions: dict[str, float]  # mean absolute, in points of the score

    @classmethod
    def of(
        cls,
        metadata: dict[str, Any],
        *,
        model: str,
        booster_sha256: str,
        features: Sequence[str],
        policy: Policy,
        test: Sample,
        out_of_fold: Sample,
        contributions: Mapping[str, NDArray[Any]],
        economics: Economics,
    ) -> Self:
        """Make the card of a model.

        `metadata` is what the model is saved with, and `features` are the encoder's names. `out_of_fold` is one repeat
        of the cross-validation. `contributions` hold each group's share in the log odds of the test rows, (n,).
        """
        return cls(
            model=model,
            booster_sha256=booster_sha256,
            training=metadata,
            known_data=metadata["data_sha256"] in KNOWN_FILES,
            features={name: MONOTONE.get(name, 0) for name in features},
            policy={"version": policy.version, **policy.model_dump()},
            economics={**asdict(economics), "break_even": economics.break_even},
            test=SampleFigures.of(test, policy, economics),
            out_of_fold=SampleFigures.of(out_of_fold, policy, economics),
            contributions=mean_absolute(contributions),
        )

    def to_json(self) -> str:
        """Render the card for programs. Rates and probabilities are shares, not percentages; null is unknown."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """Render the card for people, as a page without scripts that loads nothing from the network."""
        environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
        environment.filters["percent"] = lambda rate: "none" if rate is None else f"{100 * rate:.1f}\u00a0%"
        template = environment.from_string(Path(__file__).with_name("card.html.j2").read_text(encoding="utf-8"))
        plots = {draw.__name__.strip("_"): _svg(draw, self) for draw in PLOTS}
        return template.render(card=self, plots=plots, min_group=MIN_GROUP)


def _svg(draw: Plot, card: ModelCard) -> Markup:
    """Draw a plot as SVG for the page, with the page's colours and font and with ids of its own."""
    name = draw.__name__.strip("_")
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        title, x, y, text = draw(axes, card)
        axes.set(title=title, xlabel=x, ylabel=y)
        for axis in (axis for axis, label in ((axes.xaxis, x), (axes.yaxis, y)) if "%" in label):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue().partition("<svg")[2].partition(">")[2].replace("xlink:href", "href")
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>| font-family: [^;]*;|(?<=\n) +", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    label = escape(f"{title}: {y}, by {x}. {text}")
    return Markup(f'<svg role="img" aria-label="{label}" viewBox="0 0 {72 * WIDTH:g} {72 * HEIGHT:g}">{svg}')


def _samples(card: ModelCard) -> list[tuple[SampleFigures, str, str]]:
    return [(card.out_of_fold, INK, "cross-validated"), (card.test, ACCENT, "test split")]


def _roc(axes: Axes, card: ModelCard) -> Description:
    for figures, colour, name in _samples(card):
        axes.plot(figures.roc.good, figures.roc.bad, color=colour, label=f"{name}, n = {figures.n:,}")
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", label="by chance")
    axes.legend(loc="lower right")
    text = f"The area under the curve is {card.training['test']['auc']:.3f} on the test split"
    return "ROC curve", "good applicants above the cutoff (%)", "bad applicants above the cutoff (%)", text


def _ks(axes: Axes, card: ModelCard) -> Description:
    roc = card.out_of_fold.roc
    points, at = scores(np.array(roc.threshold[1:])), roc.threshold.index(round(roc.ks_probability, 5))
    for values, colour, name in ((roc.bad, BAD, "defaulted"), (roc.good, GOOD, "paid back")):
        axes.step(points, values[1:], where="post", color=colour, label=name)
    text = f"KS {roc.ks:.3f} at {roc.ks_score} points"
    axes.vlines(roc.ks_score, roc.good[at], roc.bad[at], color=INK, linewidth=2, label=text)
    axes.legend(loc="lower right")
    return "KS curve", "score (points)", "applicants up to this score (%)", text


def _calibration(axes: Axes, card: ModelCard) -> Description:
    for figures, colour, name in _samples(card):
        bins = figures.reliability
        bars = [[b.observed - b.low for b in bins], [b.high - b.observed for b in bins]]
        predicted, observed = [b.predicted for b in bins], [b.observed for b in bins]
        axes.errorbar(predicted, observed, bars, fmt="o", markersize=3.5, linewidth=1, color=colour, label=name)
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", label="as predicted")
    axes.legend(loc="upper left")
    text = f"The cross-validated calibration error is {card.training['cross_validation']['mean']['ece']:.3f}"
    return "Calibration by tenths", "predicted probability of default (%)", "observed default rate (%)", text


def _distribution(axes: Axes, card: ModelCard) -> Description:
    bands = card.out_of_fold.score_bands
    edges = [*bands, max(bands) + POINTS_TO_DOUBLE_ODDS]
    for outcome, colour, name in ((0, GOOD, "paid back"), (1, BAD, "defaulted")):
        counts = np.array([band[outcome] for band in bands.values()])
        axes.stairs(counts / counts.sum(), edges, color=colour, fill=True, alpha=0.2)
        axes.stairs(counts / counts.sum(), edges, color=colour, label=name)
    for (name, cutoff), dashes in zip(card.policy["cutoffs"].items(), ("-.", ":"), strict=True):
        label = f"{name.replace('_', ' ')} {cutoff:g}"
        axes.axvline(scores(np.array([cutoff]))[0], ymax=0.75, color=INK, linestyle=dashes, label=label)
    axes.margins(y=0.45)
    axes.legend(loc="upper left", ncols=2)
    return "Scores by outcome", "score (points)", "applicants with the outcome (%)", f"{edges[0]} to {edges[-1]} points"


def _cutoffs(axes: Axes, card: ModelCard) -> Description:
    rows = card.out_of_fold.cutoffs
    axes.plot([row.approved for row in rows], [row.bad_rate or 0 for row in rows], color=INK, marker=".")
    for row in (row for row in rows if row.marks):
        at, text = (row.approved, row.bad_rate or 0), f"{', '.join(row.marks)} {row.cutoff:.2g} "
        axes.plot(*at, "o", color=ACCENT)
        axes.annotate(text, at, (-4, 4), ha="right", textcoords="offset points")
    text = f"Of all applicants, {card.out_of_fold.statuses['APPROVED']:.1%} are approved"
    return "What a cutoff costs", "applicants approved (%)", "of them defaulted (%)", text


def _contributions(axes: Axes, card: ModelCard) -> Description:
    names = list(card.contributions)[::-1]
    axes.barh(names, [card.contributions[name] for name in names], color=ACCENT)
    return "What moves the score", "mean absolute contribution (points)", "features", f"The most does {names[-1]}"


Description = tuple[str, str, str, str]  # title, what is along and what is up the side, and what is to be seen
Plot = Callable[[Axes, ModelCard], Description]
PLOTS: tuple[Plot, ...] = (_roc, _ks, _calibration, _distribution, _cutoffs, _contributions)
