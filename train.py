"""Train the credit-risk model: data in, figures out, model into the BentoML model store."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from credit_risk.contract.errors import CreditRiskError, DataError, ReleaseError
from credit_risk.contract.policy import load_policy
from credit_risk.model import store
from credit_risk.model.data import PUBLIC_FILE, DataSource, load_dataset
from credit_risk.model.evaluation import FOLDS, REPEATS
from credit_risk.model.features import Encoder
from credit_risk.model.figures import Economics
from credit_risk.model.report import ModelCard
from credit_risk.model.trained import TRAININGS, Trained, metadata_of, train

POLICY = Path(__file__).with_name("policy.yaml")  # whose cutoffs the model card shows
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


class Share(click.FloatRange):
    """A number in a range, which NaN is not, though no comparison says so."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        return self.fail("it is not a number", param, ctx) if math.isnan(number) else number


def figures_table(trained: Trained) -> Table:
    """The figures of this model beside the tutorial's on the same folds, and those of the booster on the test split."""
    table = Table(title=f"{REPEATS} x {FOLDS} cross-validation, the same folds for both: mean ± standard deviation")
    for heading in ("", "this model", "tutorial", "gain", "test split"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    ours, theirs = trained.cross_validation, trained.tutorial
    for name, label in LABELS.items():
        mean, sd = getattr(ours.mean, name), getattr(ours.sd, name)
        their_mean, their_sd = getattr(theirs.mean, name), getattr(theirs.sd, name)
        cells = (
            f"{mean:.4f} ± {sd:.4f}",
            f"{their_mean:.4f} ± {their_sd:.4f}",
            f"{_gain(name, mean, their_mean):+.4f}",
        )
        table.add_row(label, *cells, f"{getattr(trained.test, name):.4f}")
    return table


def _gain(name: str, ours: float, theirs: float) -> float:
    """By how much our figure is better; positive is better whichever way the figure points."""
    if name == "calibration_slope":
        return abs(theirs - 1) - abs(ours - 1)
    return theirs - ours if name in LOWER_IS_BETTER else ours - theirs


def check_release(trained: Trained, *, min_auc: float, max_ece: float) -> None:
    """Raise ReleaseError, naming each figure that failed, where the cross-validated figures are not good enough."""
    mean = trained.cross_validation.mean
    failed = []
    if not mean.auc >= min_auc:
        failed.append(f"AUC {mean.auc:.4f} is below --min-auc {min_auc}")
    if not mean.ece <= max_ece:
        failed.append(f"ECE {mean.ece:.4f} is above --max-ece {max_ece}")
    if failed:
        raise ReleaseError(f"not released: {'; '.join(failed)}; the model store is as it was")


@click.command(context_settings={"show_default": True})
@click.option("--data", default=BUNDLED, type=click.Path(path_type=Path), help="CSV of labelled applications.")
@click.option(
    "--data-source",
    type=click.Choice(get_args(DataSource)),
    help="Where the rows come from. Default: real, unless the file is the bundled synthetic one.",
)
@click.option(
    "--protected",
    default="exclude",
    type=click.Choice(["exclude", "include"]),
    help="Age and marital status as features. Lending law restricts both: see the README.",
)
@click.option("--seed", default=1, type=click.IntRange(0, 2**31), help="Of the folds and the booster.")
@click.option("--min-auc", default=0.80, type=Share(0, 1), help="Release gate: least cross-validated AUC.")
@click.option("--max-ece", default=0.025, type=Share(0, 1), help="Release gate: most calibration error.")
def main(data: Path, data_source: DataSource | None, protected: str, seed: int, min_auc: float, max_ece: float) -> None:
    """Train the model, print how good it is, and save it into the BentoML model store as credit_risk_model.

    A model that fails the release gate is not saved, and the exit status is 1.
    """
    console = Console()
    try:
        dataset = load_dataset(data, data_source)
        console.print(
            f"{len(dataset)} {dataset.source} applications, {dataset.default.mean():.2%} defaulted", highlight=False
        )
        if data_source is None and dataset.source == "real" and dataset.sha256 != PUBLIC_FILE:
            console.print("Counted as real: say --data-source synthetic if nobody made them", highlight=False)
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task(f"Cross-validating {REPEATS} x {FOLDS}", total=TRAININGS)
            trained = train(
                dataset, protected=protected == "include", seed=seed, advance=lambda: progress.advance(task)
            )
        console.print(figures_table(trained))
        check_release(trained, min_auc=min_auc, max_ece=max_ece)
        metadata = metadata_of(trained, dataset, protected=protected, seed=seed)
        card = ModelCard.of(
            metadata,
            model=store.MODEL_NAME,
            booster_sha256=store.sha256_of(trained.booster),
            features=Encoder.of(trained.vectorizer).names,
            policy=load_policy(POLICY),
            test=trained.held_out,
            out_of_fold=trained.out_of_fold,
            contributions=trained.contributions,
            economics=Economics(margin=0.10, loss_given_default=0.50),
        )
        tag = store.save_model(
            trained.booster,
            trained.vectorizer,
            labels={"project": "credit-risk", "data_source": dataset.source, "protected": protected},
            metadata=metadata,
            report={"model-card.html": card.to_html(), "model-card.json": card.to_json()},
        )
    except CreditRiskError as error:
        click.echo(f"train.py: {error}", err=True)
        for problem in error.problems if isinstance(error, DataError) else []:
            click.echo(f"  {problem}", err=True)
        sys.exit(1)
    console.print(
        f"Saved {tag}; its model card: {store.report_of(tag) / 'model-card.html'}", highlight=False, soft_wrap=True
    )


if __name__ == "__main__":
    main()
