"""Tell how alike two models decide: one of the bundled rows, and one of the real rows. Both decide the real rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

if not __package__:  # run as a file, which leaves the project's folder out of the path
    sys.path.insert(0, str(Path(__file__).parents[1]))

from credit_risk import decide, train
from credit_risk.contract.decision import STATUSES
from credit_risk.contract.errors import CreditRiskError
from credit_risk.training.data import load_dataset

FOLDER = Path(__file__).parent


def statuses_of(labelled: Path, rows: list[dict[str, Any]]) -> NDArray[np.str_]:
    """Decide rows by a model of labelled ones."""
    model = train(labelled, folds=2, repeats=1)  # the folds change what is known of a model, but not the model
    return np.array([decision["Status"] for decision in decide(model, rows)])


@click.command(context_settings={"show_default": True})
@click.option("--real", default=FOLDER / "CreditScoring.csv", type=click.Path(path_type=Path), help="The real rows.")
@click.option("--other", default=FOLDER / "applications.csv", type=click.Path(path_type=Path), help="The others.")
def main(real: Path, other: Path) -> None:
    """Print the share of the real rows that a model of the others decides otherwise than a model of themselves."""
    console = Console(highlight=False)
    try:
        rows = [application.model_dump() for application in load_dataset(real).applications]
        ours, theirs = (statuses_of(path, rows) for path in (real, other))
    except CreditRiskError as error:
        raise click.ClickException(str(error)) from None
    table = Table("model of the real rows", *STATUSES, title="Real rows by what the model of the others decides")
    for status in STATUSES:
        table.add_row(status, *(f"{((ours == status) & (theirs == found)).sum():,}" for found in STATUSES))
    console.print(f"{(ours != theirs).mean():.1%} of {len(ours):,} decisions differ", table)


if __name__ == "__main__":
    main()
