"""Fit the recipe's block on outcomes to the public file: `python -m data.fit`. Everything else in the recipe stays.

The block is a logistic regression with a ridge penalty. The default rates where income, assets or debt are missing are
of so few rows that the penalty would hide them, so three terms, and the intercept, are set afterwards to what gives
synthetic rows the file's own rates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from data.generate import HEADER, RECIPE, chunks
from data.outcome import MISSING, Columns, Floats, log_odds, terms

PUBLIC = Path(__file__).with_name("CreditScoring.csv")
PENALTY = 0.3  # C of the standardized terms
KNOTS: dict[str, tuple[float, ...]] = {
    "seniority": (0, 1, 2, 4, 7, 10, 15, 20),
    "income": (0, 80, 100, 120, 140, 170, 200, 250),
    "expenses": (35, 45, 60, 75),
    "assets": (0, 2500, 5000, 8000, 12_000, 20_000),
    "debt": (0, 500, 1500, 3000),
    "amount": (0, 700, 900, 1100, 1300, 1700),
    "price": (0, 1000, 1400, 1800, 2500),
    "time": (0, 24, 36, 48),
    "age": (0, 25, 35, 50),
    "financing_ratio": (0, 0.5, 0.6, 0.7, 0.8, 0.9),
    "repay_capacity": (-5, 0, 1, 2, 4, 7, 10),
}
CODES = {"home": (1, 3, 4, 5, 6), "marital": (1, 3, 4, 5), "job": (2, 3, 4)}
FLAGS = ("income_zero_or_missing", "assets_zero", "debt_positive")
RECORDS = ("records=yes", "records*parttime", "records*income<=100")
MAY_BE_MISSING = ("income", "assets", "debt")
DRAWN = 200_000  # synthetic rows in which rates are set
TURNS = 30


def fit(rows: NDArray[np.int64], drawn: Columns) -> tuple[dict[str, Any], dict[str, float]]:
    """Fit to the rows of the public file, (n, 14). Gives the block, and the default rates where a field is missing."""
    columns = columns_of(rows)
    default = columns["status"] == 2
    names = [f"{column}>{knot:g}" for column, knots in KNOTS.items() for knot in knots]
    names += [*FLAGS, *RECORDS, *(f"{column}={code}" for column, codes in CODES.items() for code in codes)]
    found = terms(names, columns)
    mean, spread = found.mean(axis=0), found.std(axis=0)
    model = LogisticRegression(C=PENALTY, max_iter=5000).fit((found - mean) / spread, default)
    coefficients = model.coef_[0] / spread
    block: dict[str, Any] = {
        "intercept": float(model.intercept_[0] - mean @ coefficients),
        "coefficients": dict(zip(names, np.round(coefficients, 4).tolist(), strict=True)),
    }
    rates = {name: round(float(default[columns[name] == MISSING].mean()), 4) for name in MAY_BE_MISSING}
    shifts = _shifts(log_odds(block, drawn), {"intercept": float(default.mean()), **rates}, drawn)
    block["intercept"] = round(block["intercept"] + shifts["intercept"], 4)
    block["coefficients"] |= {f"{name}_missing": round(shifts[name], 4) for name in rates}
    return block, rates


def _shifts(odds: Floats, rates: dict[str, float], drawn: Columns) -> dict[str, float]:
    """Find by how much to raise the log odds of all rows, and where a field is missing, to get these default rates."""
    where = {name: drawn[name] == MISSING if name in drawn else np.full(len(odds), True) for name in rates}
    shifts = dict.fromkeys(rates, 0.0)
    for _ in range(TURNS):  # each rate depends on the other shifts
        probability = expit(odds + sum(shift * where[name] for name, shift in shifts.items()))
        for name, rate in rates.items():
            shifts[name] += float(logit(rate) - logit(probability[where[name]].mean()))
    return shifts


def columns_of(rows: NDArray[np.int64]) -> Columns:
    """Name the columns of rows in the public file's order."""
    return dict(zip(map(str.lower, HEADER), rows.T, strict=True))


@click.command()
@click.option("--data", default=PUBLIC, show_default=True, type=click.Path(path_type=Path), help="The public file.")
def main(data: Path) -> None:
    """Fit the recipe's outcomes to the public file, and write them into synthetic_recipe.json."""
    rows = np.loadtxt(data, delimiter=",", skiprows=1, dtype=np.int64)
    recipe = json.loads(RECIPE.read_text(encoding="utf-8"))
    block, rates = fit(rows[rows[:, 0] > 0], columns_of(np.concatenate(list(chunks(DRAWN, seed=0)))))
    recipe["default_logit"] |= block
    recipe["check"]["default_rate_where_missing"] = rates
    RECIPE.write_text(json.dumps(recipe, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    click.echo(f"{len(block['coefficients'])} terms written to {RECIPE.name}; default rates where missing: {rates}")


if __name__ == "__main__":
    main()
