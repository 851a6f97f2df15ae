"""Draw synthetic credit applications, in the raw format of the public data set, from `synthetic_recipe.json`.

The recipe holds only aggregate statistics, so the rows resemble the real ones without copying any of them. The first N
rows of a seed are always the same, however many are drawn. Rows are written as they are drawn, so a file may be larger
than memory.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

if not __package__:  # run as a file, which leaves the project's folder out of the path
    sys.path.insert(0, str(Path(__file__).parents[1]))

from credit_risk.training.cells import CODES

RECIPE = Path(__file__).with_name("synthetic_recipe.json")
HEADER = (
    *("Status", "Seniority", "Home", "Time", "Age", "Marital", "Records", "Job"),
    *("Expenses", "Income", "Assets", "Debt", "Amount", "Price"),
)
MISSING = 99_999_999
CHUNK = 10_000  # rows that are drawn at once

Floats = NDArray[np.float64]
Recipe = dict[str, Any]

# A term "column>k" of the default logit is max(0, column - k), capped and divided by a unit: see the recipe's `terms`.
TERM_UNIT = {
    "seniority": 10,
    "income": 100,
    "expenses": 30,
    "assets": 10_000,
    "debt": 1000,
    "amount": 1000,
    "price": 1000,
    "time": 12,
    "age": 10,
    "financing_ratio": 1,
    "repay_capacity": 1,
}
TERM_CAP = {"income": 300, "assets": 30_000, "debt": 10_000, "price": 5000}


class Draw:
    """One chunk of applications, drawn column by column in the recipe's order."""

    def __init__(self, recipe: Recipe, rng: np.random.Generator, rows: int) -> None:
        self.recipe = recipe
        self.rng = rng
        self.rows = rows
        self.regressors: dict[str, Floats] = {}

    def columns(self) -> NDArray[np.int64]:
        """Draw the chunk as integers, (rows, 14), in the order of HEADER."""
        self._household()
        self._age_and_seniority()
        self._expenses()
        self._income_assets_debt()
        self._loan()
        self._records()
        self._missing()
        status = np.where(self._happens(self._default_logit()), 2, 1)
        table = [status, self.seniority, self.home, self.time, self.age, self.marital, self.records, self.job]
        table += [self.expenses, self.income, self.assets, self.debt, self.amount, self.price]
        return np.column_stack(table).astype(np.int64)

    def _household(self) -> None:
        recipe = self.recipe
        self.marital = self._choice(list(map(int, recipe["marital"])), recipe["marital"].values())
        self.group = np.array([recipe["marital_group"][str(code)] for code in range(6)])[self.marital]
        self.home = np.zeros(self.rows, dtype=np.int64)
        self.job = np.zeros(self.rows, dtype=np.int64)
        for group, homes in recipe["home_given_marital_group"].items():
            members = np.flatnonzero(self.group == group)
            self.home[members] = self._choice(list(map(int, homes)), homes.values(), len(members))
            for home in map(int, homes):
                members = np.flatnonzero((self.group == group) & (self.home == home))
                jobs = recipe["job_given_marital_group_and_home"][f"{group}|{home}"]
                self.job[members] = self._choice(list(range(5)), jobs, len(members))
        for code in range(2, 7):
            self.regressors[f"home={code}"] = (self.home == code).astype(float)
        for code in range(2, 5):
            self.regressors[f"job={code}"] = (self.job == code).astype(float)
        for group in ("married", "other"):
            self.regressors[f"mg={group}"] = (self.group == group).astype(float)

    def _age_and_seniority(self) -> None:
        self.age = np.rint(self._quantile("age", self._score("age", "z_age")))
        zero = self._happens(self._linear(self.recipe["seniority_is_zero"]["logit"]))
        years = np.rint(self._quantile("seniority_positive", self._score("seniority_positive", "z_sen", ~zero)))
        self.seniority = np.where(zero, 0, np.minimum(np.maximum(years, 1), self.age - 14))
        self.regressors["sen0"] = (self.seniority == 0).astype(float)

    def _expenses(self) -> None:
        block = self.recipe["expenses_score"]
        z_age = self.regressors["z_age"]
        z = block["z_age"] * z_age + block["z_age_sq_minus_1"] * (z_age**2 - 1) + block["residual_sd"] * self._normal()
        self.regressors["z_exp"] = z
        share = ndtr(z)
        renting, others = self.recipe["expenses_renting"], self.recipe["expenses_not_renting"]
        self.expenses = np.zeros(self.rows)
        for group, quantiles in renting["quantiles_by_marital_group"].items():
            rent = np.interp(share, renting["quantile_probs"], quantiles)
            scale = self._grid(share, others["values"], others["probs_by_marital_group"][group])
            self.expenses = np.where(self.group == group, np.where(self.home == 1, np.rint(rent), scale), self.expenses)

    def _income_assets_debt(self) -> None:
        zero = self._happens(self._linear(self.recipe["income_is_zero"]["logit"]))
        income = self._rounded(
            "income", self._quantile("income_positive", self._score("income_positive", "z_inc", ~zero))
        )
        self.income = np.where(zero, 0, np.clip(income, *self.recipe["clip"]["income"]))
        self.regressors["inc0"] = zero.astype(float)

        no_house = np.isin(self.home, (1, 5, 6))
        by_home = np.array([self.recipe["assets_zero_given_home"][str(code)] for code in range(7)])[self.home]
        nonowner = expit(self._linear(self.recipe["assets_is_zero_nonowner"]["logit"]))
        zero = self.rng.random(self.rows) < np.where(no_house, nonowner, by_home)
        assets = self._quantile("assets_positive", self._score("assets_positive", "z_ass", ~zero))
        self.assets = np.where(zero, 0, np.maximum(self._rounded("assets", assets), 100))
        self.regressors["ass0"] = zero.astype(float)

        owes = self._happens(self._linear(self.recipe["debt_is_positive"]["logit"]))
        debt = self._quantile("debt_positive", self._score("debt_positive", "z_deb", owes))
        debt = np.where(debt < 100, np.rint(debt), self._rounded("debt", debt))
        self.debt = np.where(owes, np.maximum(debt, 10), 0)
        self.regressors["deb1"] = owes.astype(float)

    def _loan(self) -> None:
        clip = self.recipe["clip"]
        self.price = np.clip(np.rint(self._quantile("price", self._score("price", "z_price"))), *clip["price"])
        z = self._score("financing_ratio", "z_ratio")
        whole = ndtr(z) > 1 - self.recipe["financing_ratio_is_one"]["p"]
        part = np.clip(self._rounded("amount", self.price * self._quantile("financing_ratio", z)), *clip["amount"])
        self.amount = np.minimum(self.price, np.where(whole, clip["amount"][1], part))
        self.regressors["ln_amount"] = (np.log(self.amount) - 6.84) / 0.46
        grid = self.recipe["time"]["grid_probs"]
        self.time = self._grid(ndtr(self._score("time", "z_time")), list(map(int, grid)), grid.values())

    def _records(self) -> None:
        self.records = np.where(self._happens(self._linear(self.recipe["records_yes"]["logit"])), 2, 1)

    def _missing(self) -> None:
        patterns = self.recipe["missing"]["patterns"]
        weights = np.array([self.recipe["missing"]["income_only_job_weights"][str(code)] for code in range(5)])
        shares = np.bincount(self.job, minlength=5) / self.rows
        by_job = np.divide(weights, shares, out=np.zeros(5), where=shares > 0)[self.job]
        chances = np.column_stack(
            [patterns["income_only"] * by_job] + [np.full(self.rows, patterns[name]) for name in list(patterns)[1:]]
        )
        drawn = (self.rng.random(self.rows)[:, None] >= chances.cumsum(axis=1)).sum(axis=1)
        name = np.array([*patterns, ""])[drawn]
        self.income[np.isin(name, ("income_only", "income_assets_debt", "income_and_assets"))] = MISSING
        self.assets[np.isin(name, ("assets_only", "assets_and_debt", "income_assets_debt", "income_and_assets"))] = (
            MISSING
        )
        self.debt[np.isin(name, ("assets_and_debt", "income_assets_debt"))] = MISSING

    def _default_logit(self) -> Floats:
        """Compute the log odds of default: a spline of each column, dummies and two interactions."""
        unverified = (self.income == 0) | (self.income == MISSING)
        assets = np.where(self.assets == MISSING, 3000, self.assets)
        debt = np.where(self.debt == MISSING, 0, self.debt)
        free = np.where(unverified, 0, self.income) - self.expenses - debt / 100
        values = {
            "seniority": self.seniority,
            "income": np.where(unverified, 120, self.income),
            "expenses": self.expenses,
            "assets": assets,
            "debt": debt,
            "amount": self.amount,
            "price": self.price,
            "time": self.time,
            "age": self.age,
            "financing_ratio": self.amount / self.price,
            "repay_capacity": np.clip(free / (self.amount / self.time), -5, 20),
        }
        codes = {"home": self.home, "marital": self.marital, "job": self.job}
        bad_records = self.records == 2
        named = {
            "income_zero_or_missing": unverified,
            "assets_zero": assets == 0,
            "debt_positive": debt > 0,
            "records=yes": bad_records,
            "records*parttime": bad_records & (self.job == 2),
            "records*income<=100": bad_records & (values["income"] <= 100),
        }
        logit = np.full(self.rows, self.recipe["default_logit"]["intercept"])
        for term, coefficient in self.recipe["default_logit"]["coefficients"].items():
            if term in named:
                value = named[term]
            elif ">" in term:
                column, knot = term.split(">")
                value = np.clip(values[column] - float(knot), 0, TERM_CAP.get(column)) / TERM_UNIT[column]
            else:
                column, code = term.split("=")
                value = codes[column] == int(code)
            logit += coefficient * value
        return logit

    def _normal(self) -> Floats:
        return self.rng.standard_normal(self.rows)

    def _happens(self, logit: Floats) -> NDArray[np.bool_]:
        return self.rng.random(self.rows) < expit(logit)

    def _choice(self, codes: list[int], shares: Any, size: int | None = None) -> NDArray[np.int64]:
        weights = np.array(list(shares), dtype=float)
        return self.rng.choice(codes, size=self.rows if size is None else size, p=weights / weights.sum())

    def _linear(self, coefficients: dict[str, float]) -> Floats:
        total = np.full(self.rows, coefficients["intercept"])
        for name, coefficient in coefficients.items():
            if name != "intercept":
                total += coefficient * self.regressors[name]
        return total

    def _score(self, block: str, regressor: str, present: NDArray[np.bool_] | None = None) -> Floats:
        """Draw the normal score of a column. Later columns regress on it, or on 0 for rows that are not `present`."""
        recipe = self.recipe[block]
        z: Floats = self._linear(recipe["normal_score_regression"]) + recipe["residual_sd"] * self._normal()
        self.regressors[regressor] = z if present is None else np.where(present, z, 0.0)
        return z

    def _quantile(self, block: str, z: Floats) -> Floats:
        values: Floats = np.interp(ndtr(z), self.recipe[block]["quantile_probs"], self.recipe[block]["quantiles"])
        return values

    def _grid(self, share: Floats, values: list[int], shares: Any) -> Floats:
        weights = np.array(list(shares), dtype=float)
        index = np.searchsorted((weights / weights.sum()).cumsum(), share)
        return np.array(values, dtype=np.float64)[np.minimum(index, len(values) - 1)]

    def _rounded(self, column: str, values: Floats) -> Floats:
        units = self.recipe["rounding"][column]
        unit = self._choice(list(map(int, units)), units.values())
        rounded: Floats = np.rint(values / unit) * unit
        return rounded


def chunks(rows: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Draw `rows` applications, in arrays of (at most CHUNK, 14)."""
    recipe = json.loads(RECIPE.read_text(encoding="utf-8"))
    for number, start in enumerate(range(0, rows, CHUNK)):
        yield Draw(recipe, np.random.default_rng([seed, number]), CHUNK).columns()[: rows - start]


def in_words(chunk: NDArray[np.int64]) -> Iterator[tuple[Any, ...]]:
    """Convert rows of an array (n, 14) to what the service takes: words, None for a missing value, and no outcome."""
    columns = []
    for name, codes in zip(HEADER[1:], chunk.T[1:].tolist(), strict=True):
        words = {int(code): word for code, word in CODES.get(name.lower(), {}).items()} | {MISSING: None}
        columns.append([words.get(code, code) for code in codes])
    return zip(*columns, strict=True)


@click.command()
@click.option(
    "--rows", default=4455, show_default=True, type=click.IntRange(min=0), help="Number of applications to write."
)
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="Random seed; the same one gives the same rows.",
)
@click.option(
    "-o",
    "--output",
    default="-",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="CSV file to write, or - for stdout.",
)
@click.option("--words", is_flag=True, help="Write words and leave out the outcomes, ready for scoring by the service.")
def main(rows: int, seed: int, output: str, words: bool) -> None:
    """Write synthetic credit applications as CSV, with the codes of the public data set."""
    try:
        opened = click.open_file(output, "w", encoding="utf-8", lazy=False)
    except OSError as error:
        raise click.ClickException(f"{output} can't be written: {error.strerror}") from None
    with opened as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([name.lower() for name in HEADER[1:]] if words else HEADER)
        with click.progressbar(length=rows, label="Drawing", file=sys.stderr) as progress:
            for chunk in chunks(rows, seed):
                writer.writerows(in_words(chunk) if words else chunk.tolist())
                progress.update(len(chunk))


if __name__ == "__main__":
    main()
