"""`python -m credit_risk policy check`: is a policy file right, and what would it do?"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from credit_risk.commands.options import PATH, lgd_option, margin_option, model_option
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.policy import Policy, Rules, load_policy
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel, load_model
from credit_risk.serving.settings import PROJECT, load_settings
from credit_risk.training.data import load_dataset
from credit_risk.training.evaluation import holdout_split
from credit_risk.training.figures import Economics, Sample, cutoff_table

DATA = PROJECT / "data" / "applications.csv"


@click.group()
def policy() -> None:
    """Work with the policy file."""


@policy.command(context_settings={"show_default": True})
@click.argument("file", required=False, type=PATH)
@click.option("--data", default=DATA, type=PATH, help="CSV of labelled applications.")
@model_option
@margin_option
@lgd_option
def check(file: Path | None, data: Path, model: str, margin: float, lgd: float) -> None:
    """Check a policy FILE, and show what it does to applications with known outcomes.

    FILE is the service's policy by default. If the data is what the model was trained on, only the rows that were held
    out are used.
    """
    console = Console(highlight=False)
    path = file or load_settings().policy
    checked = load_policy(path)
    console.print(f"{path} is valid: policy {checked.version}", soft_wrap=True)
    sample = _sample(load_model(model), data, console)
    economics = Economics(margin, lgd)
    console.print(
        f"Break-even is at a probability of default of {economics.break_even:.4f}: a loan that is paid back earns "
        f"{margin:g} of its amount, one that is not loses {lgd:g}",
        soft_wrap=True,
    )
    console.print(_cutoffs(checked, sample, economics), _rules(checked, sample))


def _sample(model: StoredModel, data: Path, console: Console) -> Sample:
    """Predict the applications of a file that the model was not trained on, as far as that is known."""
    dataset = load_dataset(data)
    if dataset.sha256 == model.metadata["data_sha256"]:
        _, rows = holdout_split(dataset.default, dataset.groups, model.metadata["seed"])
        origin = f"{len(rows):,} applications of {data}, held out when {model.tag} was trained"
    else:
        rows = np.arange(len(dataset))
        origin = (
            f"WARNING: {data} is not the file that {model.tag} was trained on. All of its {len(rows):,} applications "
            "are used; it is not known whether the model was trained on them"
        )
    console.print(f"{origin}; {dataset.default[rows].mean():.2%} defaulted", soft_wrap=True)
    margins = model.scorer.margins(model.encoder.encode_columns(dataset.columns)[rows])
    probability = np.array([probability_of(margin) for margin in margins.tolist()])
    return Sample(dataset.applications.take(rows), dataset.default[rows], probability)


def _cutoffs(policy: Policy, sample: Sample, economics: Economics) -> Table:
    """Show what happens if everybody up to a cutoff is approved, for many cutoffs and the policy's own."""
    table = _table("approving up to", "approved", "bad rate", "bads avoided", "profit", "")
    table.title = "Cutoffs alone; profit for each application, as a share of a loan"
    review, decline = policy.cutoffs.review_above, policy.cutoffs.decline_above
    marks = {"review": review, "decline": decline, "break-even": economics.break_even}
    for row in cutoff_table(sample.default, sample.probability, economics, marks):
        bad_rate = "-" if row.bad_rate is None else f"{row.bad_rate:.2%}"
        figures = f"{row.approved:.2%}", bad_rate, f"{row.bads_caught:.2%}", f"{row.profit:+.4f}"
        table.add_row(f"{row.cutoff:.4g}", *figures, ", ".join(row.marks))
    return table


def _rules(policy: Policy, sample: Sample) -> Table:
    """Show the statuses by the cutoffs, and after each enabled rule on top of those before it."""
    table = _table("", *STATUSES, "changed", "their bad rate", "bad rate of APPROVED")
    table.title = "Statuses by the cutoffs, and after each enabled rule"
    before: NDArray[np.str_] | None = None
    enabled = ["cutoffs", *(name for name in Rules.model_fields if getattr(policy.rules, name).enabled)]
    for number, name in enumerate(enabled, 1):
        statuses = _statuses(_with_rules(policy, enabled[:number]), sample)
        mix = [f"{(statuses == status).mean():.2%}" for status in STATUSES]
        changed = ["", ""]
        if before is not None:
            changed = [f"{(statuses != before).sum():,}", _bad_rate(sample.default[statuses != before])]
        table.add_row(name, *mix, *changed, _bad_rate(sample.default[statuses == "APPROVED"]))
        before = statuses
    return table


def _with_rules(policy: Policy, enabled: list[str]) -> Policy:
    rules = {name: getattr(policy.rules, name) for name in Rules.model_fields}
    changed = {name: rule.model_copy(update={"enabled": name in enabled}) for name, rule in rules.items()}
    return Policy(cutoffs=policy.cutoffs, rules=Rules(**changed))


def _statuses(policy: Policy, sample: Sample) -> NDArray[np.str_]:
    pairs = zip(sample.probability.tolist(), sample.applications, strict=True)
    return np.array([policy.decide(probability, application).status for probability, application in pairs])


def _bad_rate(default: NDArray[np.int64]) -> str:
    return f"{default.mean():.2%}" if len(default) else "-"


def _table(*headings: str) -> Table:
    table = Table()
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    return table
