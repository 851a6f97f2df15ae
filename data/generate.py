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
from data.outcome import MISSING, Floats, log_odds

RECIPE = Path(__file__).with_name("synthetic_recipe.json")
HEADER = (
    *("Status", "Seniority", "Home", "Time", "Age", "Marital", "Records", "Job"),
    *("Expenses", "Income", "Assets", "Debt", "Amount", "Price"),
)
CHUNK = 4455  # rows that are drawn at once: those of the bundled file
SEED = 14  # of 1 to 100: see data/README.md

Recipe = dict[str, Any]


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
        table = [self._status(), self.seniority, self.home, self.time, self.age, self.marital, self.records, self.job]
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

    def _status(self) -> NDArray[np.int64]:
        """Draw the outcomes: each by its own probability, all of them evenly over what is missing and the log odds.

        Systematic sampling (Madow, 1949) keeps the rates of a chunk close to those that the recipe gives it.
        """
        columns = {name: getattr(self, name) for name in map(str.lower, HEADER[1:])}
        logit = log_odds(self.recipe["default_logit"], columns)
        missing = sum(2**bit * (columns[name] == MISSING) for bit, name in enumerate(("income", "assets", "debt")))
        order = np.lexsort((logit, missing))
        passed = np.floor(expit(logit[order]).cumsum() + self.rng.random())
        status = np.empty(self.rows, dtype=np.int64)
        status[order] = 1 + np.diff(passed, prepend=0).astype(np.int64)
        return status

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
    default=SEED,
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
