"""Train the credit-risk model, save it into the BentoML model store, and make it the latest if it is good enough."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.table import Table

from credit_risk.commands.options import PATH, Share, lgd_option, margin_option
from credit_risk.commands.progress import progress_of
from credit_risk.contract.errors import CreditRiskError, DataError, ReleaseError
from credit_risk.contract.policy import load_policy
from credit_risk.training.data import PUBLIC_FILE, DataSource, load_dataset
from credit_risk.training.evaluation import FOLDS, REPEATS
from credit_risk.training.figures import Economics
from credit_risk.training.layout import SEPARATORS, Layout, columns_named
from credit_risk.training.parameters import Parameters
from credit_risk.training.pipeline import Trained, train
from credit_risk.training.plan import Plan
from credit_risk.training.release import MIN_AUC, held_back, judge, release, save

POLICY = Path(__file__).with_name("policy.yaml")  # the model card shows its cutoffs
BUNDLED = Path(__file__).with_name("data") / "applications.csv"
LABELS = {
    "auc": "AUC",
    "ks": "KS",
    "gini": "Gini",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_slope": "calibration slope",
    "ece": "ECE",
}
LOWER_IS_BETTER = {"brier", "log_loss", "ece"}


def figures_table(trained: Trained, plan: Plan) -> Table:
    """Tabulate the figures of this model, of the tutorial's on the same folds, and of the booster on the test split."""
    folds = f"{plan.repeats} x {plan.folds} cross-validation"
    table = Table(title=f"{folds}, the same folds for both: mean ± standard deviation")
    for heading in ("", "this model", "tutorial", "gain", "test split"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    ours, tutorial = trained.cross_validation, trained.tutorial
    for name, label in LABELS.items():
        mean, tutorial_mean = getattr(ours.mean, name), getattr(tutorial.mean, name)
        table.add_row(
            label,
            f"{mean:.4f} ± {getattr(ours.sd, name):.4f}",
            f"{tutorial_mean:.4f} ± {getattr(tutorial.sd, name):.4f}",
            f"{_gain(name, mean, tutorial_mean):+.4f}",
            f"{getattr(trained.test, name):.4f}",
        )
    return table


def _gain(name: str, ours: float, tutorials: float) -> float:
    """Tell by how much our figure is better. Positive is better, whichever way the figure points."""
    if name == "calibration_slope":
        return abs(tutorials - 1) - abs(ours - 1)
    return tutorials - ours if name in LOWER_IS_BETTER else ours - tutorials


@click.command(context_settings={"show_default": True})
@click.option("--data", default=BUNDLED, type=PATH, help="CSV of labelled applications.")
@click.option(
    "--data-source",
    type=click.Choice(get_args(DataSource)),
    show_default="real, unless the file is the bundled synthetic one",
    help="Where the rows come from.",
)
@click.option(
    "--protected",
    default="exclude",
    type=click.Choice(["exclude", "include"]),
    help="Whether age and marital status are features. Lending law restricts both: see docs/training.md.",
)
@click.option("--seed", default=1, type=click.IntRange(0, 2**31), help="Seed of the folds and the booster.")
@click.option("--params", type=PATH, metavar="FILE", help="YAML or JSON of XGBoost's parameters: docs/training.md.")
@click.option("--folds", default=FOLDS, type=click.IntRange(2, 20), help="Folds of the cross-validation.")
@click.option("--repeats", default=REPEATS, type=click.IntRange(1, 20), help="How often the rows are split into folds.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    show_default="all cores",
    help="Boosters trained at once. Fewer need less memory; the model is the same.",
)
@click.option("--separator", default="comma", type=click.Choice(list(SEPARATORS)), help="What separates the cells.")
@click.option(
    "--default-is",
    metavar="CELL",
    help="The status that means default, such as 1, in a file with two statuses of other names than the public one's.",
)
@click.option("--min-auc", default=MIN_AUC, type=Share(0, 1), help="Release gate: lowest cross-validated AUC.")
@click.option("--force", metavar="WHY", help="Release the model whatever the gate says; WHY goes on record.")
@margin_option
@lgd_option
def main(
    data: Path,
    data_source: DataSource | None,
    protected: str,
    seed: int,
    params: Path | None,
    folds: int,
    repeats: int,
    threads: int | None,
    separator: str,
    default_is: str | None,
    min_auc: float,
    force: str | None,
    margin: float,
    lgd: float,
) -> None:
    """Train the model, print how good it is, and save it into the BentoML model store as credit_risk_model.

    The release gate tests the model's ranking and its calibration, and whether it is worse than the latest model. A
    model that fails is saved as a candidate, and the exit status is 1. A model with age and marital status is saved as
    a candidate, too. `python -m credit_risk models` shows and promotes candidates. --margin and --lgd are for the
    profits in the model card.
    """
    console = Console(highlight=False)
    try:
        given = Parameters.read(params) if params else Parameters()
        include = protected == "include"
        plan = Plan.of(given, protected=include, seed=seed, folds=folds, repeats=repeats, threads=threads)
        policy, dataset = load_policy(POLICY), load_dataset(data, data_source, Layout(separator, default_is))
        console.print(f"{len(dataset)} {dataset.source} applications, {dataset.default.mean():.2%} defaulted")
        if data_source is None and dataset.source == "real" and dataset.sha256 != PUBLIC_FILE:
            console.print("Counted as real: say --data-source synthetic if nobody made them")
        if dataset.unused:
            console.print(f"Not used: the {columns_named(dataset.unused)}", soft_wrap=True, markup=False)
        with progress_of(f"Cross-validating {plan.repeats} x {plan.folds}", plan.trainings) as advance:
            trained = train(dataset, plan, advance)
        console.print(figures_table(trained, plan))
        judgement = judge(trained, dataset, plan, policy, min_auc=min_auc, progress=progress_of)
        console.print(judgement.comparison, soft_wrap=True)
        candidate = save(trained, dataset, judgement, policy, Economics(margin, lgd))
        saved = release(candidate, judgement, by="train.py", force=force)
    except ReleaseError as error:
        sys.exit(f"train.py: {error}")
    except CreditRiskError as error:
        problems = error.problems if isinstance(error, DataError) else []
        sys.exit("\n  ".join([f"train.py: {error}; nothing was saved", *problems]))
    if saved is candidate:
        console.print(f"The model is not released: {held_back(candidate, judgement)}", soft_wrap=True)
    else:
        card = saved.report / "model-card.html"
        console.print(f"Saved {saved.tag}, now the latest; its model card: {card}", soft_wrap=True)


if __name__ == "__main__":
    main()
