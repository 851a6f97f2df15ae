"""The plots of the model card, as SVG with the colours and the font of its page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from credit_risk.contract.decision import POINTS_TO_DOUBLE_ODDS
from credit_risk.training.figures import SampleFigures, scores

if TYPE_CHECKING:
    from credit_risk.training.card import ModelCard

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


def draw_plots(card: ModelCard) -> dict[str, Markup]:
    """Draw all plots, by name."""
    return {draw.__name__.strip("_"): _svg(draw, card) for draw in PLOTS}


def _svg(draw: Plot, card: ModelCard) -> Markup:
    """Draw a plot as SVG for the page, with ids of its own."""
    name = draw.__name__.strip("_")
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        title, x, y, text = draw(axes, card)
        axes.set(title=title, xlabel=x, ylabel=y)
        for axis in (axis for axis, label in ((axes.xaxis, x), (axes.yaxis, y)) if "(%)" in label):
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


def _gains(axes: Axes, card: ModelCard) -> Description:
    compared = card.validation.comparisons[::-1]
    gains, at = [comparison.gain for comparison in compared], range(len(compared))
    bars = [[gain.value - gain.low for gain in gains], [gain.high - gain.value for gain in gains]]
    axes.errorbar([gain.value for gain in gains], at, xerr=bars, fmt="o", color=ACCENT)
    axes.axvline(0, color=MUTED, linestyle=":")
    axes.set_yticks(at, [comparison.name.replace(", ", ",\n") for comparison in compared])
    axes.margins(y=0.15)
    least = min(compared, key=lambda comparison: comparison.gain.value)
    text = f"The least gain is {least.gain.value:.4f}, over the {least.name}"
    return "Gain over other models", "gain in AUC (95 % interval)", "compared with", text


def _ratios(axes: Axes, card: ModelCard) -> Description:
    rows = [row for groups in (card.fairness.marital, card.fairness.age) for row in groups[::-1] if row.all]
    for shift, colour, name in ((0.12, INK, "all applicants"), (-0.12, ACCENT, "those who paid back")):
        for at, row in enumerate(rows):
            approvals = row.all if colour == INK else row.good
            if approvals and approvals.ratio:
                ratio = approvals.ratio
                bars = [[ratio.value - ratio.low], [ratio.high - ratio.value]]
                axes.errorbar(ratio.value, at + shift, xerr=bars, fmt="o", markersize=3.5, linewidth=1, color=colour)
        axes.plot([], [], "o-", markersize=3.5, linewidth=1, color=colour, label=name)
    axes.axvline(1, color=MUTED, label="the largest group")
    axes.axvline(0.8, color=BAD, linestyle=":", label="four fifths")
    axes.set_yticks(range(len(rows)), [row.group for row in rows])
    axes.margins(y=0.05)
    figure = axes.get_figure()
    assert figure is not None
    figure.legend(loc="outside lower center", ncols=2)
    text = "A group left of the dotted line is approved less than four fifths as often as the largest"
    return "Approvals beside the largest group", "ratio of approval rates (95 % interval)", "group", text


def _alternatives(axes: Axes, card: ModelCard) -> Description:
    own, *others = card.validation.search.alternatives
    for other in others:
        at, helps = (own.auc - other.auc, other.lowest), other.lowest > own.lowest
        axes.plot(*at, "o", color=ACCENT if helps else MUTED)
        if helps:
            axes.annotate("\n+ ".join(other.without), at, (5, -2), textcoords="offset points")
    axes.plot(0, own.lowest, "D", color=INK)
    axes.annotate("this model", (0, own.lowest), (-4, 5), ha="right", textcoords="offset points")
    axes.axhline(0.8, color=BAD, linestyle=":")
    axes.margins(x=0.25, y=0.12)
    text = f"The model without {' and '.join(others[0].without)} has the highest ratio"
    return "Models without some fields", "loss of AUC (this model: 0)", "lowest ratio of approval rates", text


Description = tuple[str, str, str, str]  # title, what is along and what is up the side, and what is to be seen
Plot = Callable[[Axes, "ModelCard"], Description]
MODEL: tuple[Plot, ...] = (_roc, _ks, _calibration, _distribution, _cutoffs, _contributions)
PLOTS = (*MODEL, _gains, _ratios, _alternatives)
