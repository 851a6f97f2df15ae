"""`python -m credit_risk models`: show the models in the store, compare two, and say which is the latest."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from credit_risk.contract.errors import ModelError
from credit_risk.model import CANDIDATE_NAME, MODEL_NAME, inventory
from credit_risk.model.inventory import find, stored_models
from credit_risk.model.releases import Promotion, current_user, latest_version, models_folder, record_of
from credit_risk.model.store import StoredModel

FIGURES = {"auc": "AUC", "ks": "KS", "brier": "Brier score", "log_loss": "log loss"}
FIGURES |= {"calibration_slope": "calibration slope", "ece": "ECE"}


@click.group()
def models() -> None:
    """Show, compare and promote models.

    A model that does not pass the release gate of train.py is a candidate, which serves only if it is named.
    """


@models.command("list")
def list_() -> None:
    """List all models, the oldest first, and how each became the latest."""
    console, found = Console(highlight=False), stored_models()
    latest, record = latest_version(models_folder()), record_of(models_folder())
    table = Table(title="Models", title_justify="left")
    for heading in ("version", "", "trained", "data", "rows", "AUC", "against it"):
        table.add_column(heading, no_wrap=heading == "version")
    for model in found:
        if isinstance(model, StoredModel):
            table.add_row(*_row(model, latest))
    if table.row_count:
        console.print(table)
    else:
        click.echo("There is no model in the store; train one with `make train`")
    for fault in (model for model in found if isinstance(model, ModelError)):
        click.echo(f"Left out: {fault}")
    if record:
        console.print(_promotions(record))
    if latest and (not record or record[-1].to != latest):
        click.echo(f"{latest} became the latest without a promotion on record, as by BentoML's own commands")


def _row(model: StoredModel, latest: str | None) -> list[str]:
    metadata = model.metadata
    is_candidate = model.tag.startswith(f"{CANDIDATE_NAME}:")
    state = "candidate" if is_candidate else "latest" if model.version == latest else "released"
    figures = f"{metadata['rows']:,}", f"{metadata['cross_validation']['mean']['auc']:.4f}"
    against = "; ".join(metadata.get("gate", []))
    return [model.version, state, f"{model.created:%Y-%m-%d %H:%M}", model.data_source, *figures, against]


def _promotions(record: list[Promotion]) -> Table:
    table = Table(title="What became the latest", title_justify="left")
    for heading in ("when (UTC)", "from", "to", "who", "why"):
        table.add_column(heading, no_wrap=heading in ("from", "to"))
    for promotion in record:
        in_spite = (
            f"{promotion.why} (in spite of: {'; '.join(promotion.faults)})" if promotion.faults else promotion.why
        )
        when = f"{promotion.at:%Y-%m-%d %H:%M}"
        table.add_row(when, promotion.before or "none", promotion.to, promotion.by, in_spite)
    return table


@models.command()
@click.argument("version")
@click.argument("other", required=False)
def compare(version: str, other: str | None) -> None:
    """Compare model VERSION with OTHER, by default with the latest.

    The gain in AUC has an interval if both were cross-validated on the same folds of the same rows.
    """
    from credit_risk.training.resampling import gain  # requires scikit-learn, which the image has not

    ours, others = find(version), find(other or latest_version(models_folder()) or "latest")
    table = Table(title="Cross-validated figures: mean ± standard deviation", title_justify="left")
    for heading in ("", ours.version, others.version):
        table.add_column(heading, justify="right" if heading else "left")
    for name, label in FIGURES.items():
        table.add_row(label, *(_figure(model, name) for model in (ours, others)))
    for name in ("data_source", "data_sha256", "rows", "seed", "folds", "repeats", "rounds", "protected"):
        table.add_row(name, *(str(model.metadata.get(name))[:12] for model in (ours, others)))
    Console(highlight=False).print(table)
    aucs = [model.metadata["cross_validation"].get("aucs", []) for model in (ours, others)]
    alike = all(
        ours.metadata.get(name) == others.metadata.get(name) for name in ("data_sha256", "seed", "folds", "repeats")
    )
    if not alike or not aucs[0] or len(aucs[0]) != len(aucs[1]):
        click.echo("These figures are of other rows or folds, so their difference is partly chance: no interval")
        return
    found = gain(aucs[0], aucs[1], ours.metadata["folds"])
    click.echo(
        f"AUC of {ours.version} less that of {others.version}, on the same folds: {found.value:+.4f} "
        f"(95 % interval {found.low:+.4f} to {found.high:+.4f})"
    )


def _figure(model: StoredModel, name: str) -> str:
    figures = model.metadata["cross_validation"]
    return f"{figures['mean'][name]:.4f} ± {figures['sd'][name]:.4f}"


@models.command()
@click.argument("version")
@click.option("--why", required=True, help="The reason, which goes on record.")
@click.option("--by", default=current_user, show_default="whoever runs this", help="Who decides it.")
def promote(version: str, why: str, by: str) -> None:
    """Make model VERSION the latest, which servers serve that are started from now on.

    VERSION is a candidate or a released model, even an older one.
    """
    promotion = inventory.promote(version, by=by, why=why)
    if promotion.faults:
        click.echo(f"The release gate had against it: {'; '.join(promotion.faults)}")
    click.echo(f"{MODEL_NAME}:latest is now {promotion.to}; it was {promotion.before or 'none'}")
