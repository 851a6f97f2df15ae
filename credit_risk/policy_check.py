"""`python -m credit_risk policy check`: is a policy file right, and what would it do?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from credit_risk.contract.decision import Status
from credit_risk.contract.errors import CreditRiskError, DataError
from credit_risk.contract.policy import Policy, Rules, load_policy
from credit_risk.model.data import load_dataset
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel, load_model
from credit_risk.serving.settings import PROJECT, load_settings

if TYPE_CHECKING:
    from credit_risk.model.figures import Economics, Sample

DATA = PROJECT / "data" / "applications.csv"
STATUSES: tuple[Status, ...] = get_args(Status)


def _share(context: click.Context, parameter: click.Parameter, value: float) -> float:  # noqa: ARG001 - click's
    if not 0 < value <= 1:  # nor NaN, which a click.FloatRange lets through
        raise click.BadParameter("must be above 0 and at most 1")
    return value


@click.group()
def policy() -> None:
    """Tools around the policy file."""


@policy.command(context_settings={"show_default": True})
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--data", default=DATA, type=click.Path(path_type=Path), help="CSV of labelled applications.")
@click.option(
    "--model",
    default="credit_risk_model:latest",
    envvar="CREDIT_RISK_MODEL",
    help="Tag of what the probabilities are of.",
)
@click.option("--margin", default=0.10, callback=_share, help="Earned with a loan paid back, as a share of it.")
@click.option("--lgd", default=0.50, callback=_share, help="Loss given default: lost with one that is not.")
def check(file: Path | None, data: Path, model: str, margin: float, lgd: float) -> None:
    """Check a policy FILE (default: the one in use), and show what it does to applications with known outcomes.

    These are the rows that were held out when the model was trained, if the data is what it was trained on.
    """
    console = Console(highlight=False)
    try:
        path = file or load_settings().policy
        found = load_policy(path)
        console.print(f"{path} is valid: policy {found.version}", soft_wrap=True)
        sample = _sample(load_model(model), data, console)
        _show(found, sample, margin, lgd, console)
    except CreditRiskError as error:
        problems = error.problems if isinstance(error, DataError) else []
        raise click.ClickException("\n  ".join([str(error), *problems])) from None


def _sample(model: StoredModel, data: Path, console: Console) -> Sample:
    """What the model predicts for the applications of a file that it was not trained on, as far as that is known."""
    from credit_risk.model.evaluation import holdout_split  # they need scikit-learn, which serving goes without
    from credit_risk.model.figures import Sample

    dataset = load_dataset(data)
    if dataset.sha256 == model.metadata["data_sha256"]:
        _, rows = holdout_split(dataset.default, dataset.groups, model.metadata["seed"])
        said = f"{len(rows):,} applications of {data}, held out when {model.tag} was trained"
    else:
        rows = np.arange(len(dataset))
        said = (
            f"WARNING: {data} is not the file that {model.tag} was trained on. All of its {len(rows):,} applications "
            "are used; nothing says that they were held out from this model"
        )
    console.print(f"{said}; {dataset.default[rows].mean():.2%} defaulted", soft_wrap=True)
    margins = model.scorer.margins(model.scorer.encoder.encode_columns(dataset.columns)[rows])
    probability = np.array([probability_of(margin) for margin in margins.tolist()])
    return Sample([dataset.applications[row] for row in rows.tolist()], dataset.default[rows], probability)


def _show(policy: Policy, sample: Sample, margin: float, lgd: float, console: Console) -> None:
    from credit_risk.model.figures import Economics

    economics = Economics(margin, lgd)
    console.print(
        f"Break-even at a probability of default of {economics.break_even:.4f}: a loan paid back earns {margin:g} of "
        f"it, one that is not loses {lgd:g}",
        soft_wrap=True,
    )
    console.print(_cutoffs(policy, sample, economics), _rules(policy, sample))


def _cutoffs(policy: Policy, sample: Sample, economics: Economics) -> Table:
    """What comes of approving whoever is not above a cutoff, for many of them and the policy's own."""
    from credit_risk.model.figures import cutoff_table

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
    """The statuses by the cutoffs, and after each rule that is enabled, on top of those before it."""
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
