"""`python -m credit_risk score`: decide a file of applications as the service would, many at a time."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from credit_risk.contract.application import USUAL_RANGES, WARNINGS
from credit_risk.contract.catalogue import MAX_REASONS, RULE_CODES, Catalogue, load_catalogue
from credit_risk.contract.decision import score_of
from credit_risk.contract.errors import CreditRiskError, DataError
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.model.features import Columns
from credit_risk.model.scorer import probability_of
from credit_risk.portfolio_files import Chunk, cell_of, check_paths, read
from credit_risk.serving.settings import PROJECT

if TYPE_CHECKING:
    from credit_risk.model.store import StoredModel

STATUSES = ("APPROVED", "MAYBE", "DECLINED")  # the more careful the later
WARNING_CODES = [warning.code for warning in WARNINGS]
PATH = click.Path(path_type=Path)
Decided = dict[str, pa.Array]
Whole = NDArray[np.int64]


def decide(chunk: Chunk, model: StoredModel, policy: Policy, catalogue: Catalogue, *, reasons: bool = True) -> Decided:
    """The decisions of n applications, (n,) by column, after what is passed through (`input_...` where names meet)."""
    columns = chunk.columns
    matrix = model.scorer.encoder.encode_columns(columns)
    margins = model.scorer.margins(matrix).tolist()
    # One by one: numpy's exponential and rounding differ from the service's in the last place.
    probabilities = [probability_of(margin) for margin in margins]
    by_score, status, rules = outcomes(policy, np.array(probabilities), columns)
    decided = {
        "row": pa.array(chunk.numbers),
        "Status": pa.array(STATUSES).take(pa.array(status)),
        "probability_of_default": pa.array([round(probability, 4) for probability in probabilities]),
        "score": pa.array([score_of(margin) for margin in margins]),
    }
    if reasons:
        named = [_of_bits(bits, RULE_CODES) for bits in rules.tolist()]
        adverse = np.flatnonzero(by_score)
        for row, found in zip(adverse.tolist(), model.explainer.reasons(matrix[adverse]), strict=True):
            named[row] = (*named[row], *[code for code, _ in found])[:MAX_REASONS]
        decided["reasons"] = _lists(named, lambda codes: codes)
        decided["reason_texts"] = _lists(named, lambda codes: [catalogue.reasons[code] for code in codes])
    decided["warnings"] = _lists(oddities(columns).tolist(), lambda bits: _of_bits(bits, WARNING_CODES))
    for name, version in (("model", model.tag), ("policy", policy.version), ("catalogue", catalogue.version)):
        decided[name] = pa.repeat(version, len(margins))
    passed = chunk.passed.items()
    return {"input_" * (name.split("input_")[-1] in decided) + name: cells for name, cells in passed} | decided


def outcomes(policy: Policy, probabilities: NDArray[np.float64], columns: Columns) -> tuple[Whole, Whole, Whole]:
    """What `Policy.decide` gives for n applications with these unrounded probabilities of default, each (n,).

    The status by the score and the status, as places in STATUSES, and the rules that ask for it, as bits by RULE_CODES.
    """
    by_score = (probabilities > policy.cutoffs.review_above) + (probabilities > policy.cutoffs.decline_above) * 1
    amount, rules = columns["amount"], policy.rules
    applying = [
        (rules.unverified_income, ~(columns["income"] > 0)),
        (rules.amount_above_price, amount > columns["price"]),
        (rules.amount_above_limit, amount > rules.amount_above_limit.limit),
    ]
    asked = [np.where(applies & rule.enabled, STATUSES.index(rule.outcome), 0) for rule, applies in applying]
    status = np.maximum.reduce([by_score, *asked])
    return by_score, status, _bits([(outcome > 0) & (outcome == status) for outcome in asked])


def oddities(columns: Columns) -> Whole:
    """What `warnings_of` finds odd about n applications, (n,), as bits by WARNINGS."""
    odd = [(columns[name] < low) | (columns[name] > high) for name, (low, high) in USUAL_RANGES.items()]
    odd += [columns[name] == "unk" for name in ("home", "marital", "job")]
    odd += [~(columns["income"] > 0), columns["time"] % 6 > 0]
    odd += [columns["seniority"] > columns["age"] - 14, columns["amount"] > columns["price"]]
    return _bits(odd)


def _bits(flags: list[NDArray[np.bool_]]) -> Whole:
    return np.left_shift(1, np.arange(len(flags))) @ np.array(flags)


def _of_bits(bits: int, codes: Sequence[str]) -> tuple[str, ...]:
    return tuple(code for bit, code in enumerate(codes) if bits >> bit & 1)


def _lists(keys: list[Any], texts_of: Callable[[Any], Sequence[str]]) -> pa.Array:
    """The texts of each key, a list each; few keys are different."""
    place: dict[Any, int] = {}
    places = [place.setdefault(key, len(place)) for key in keys]
    return pa.array([texts_of(key) for key in place], pa.list_(pa.string())).take(pa.array(places, pa.int64()))


class Output(AbstractContextManager[Any]):
    """A file of columns. It is put in place at the end if `whole` was set; else what was there stays."""

    def __init__(self, path: Path) -> None:
        self.whole = False
        self._path, self._part = path, path.with_name(f".{path.name}.{os.getpid()}.part")
        self._schema: pa.Schema = None
        self._parquet: pq.ParquetWriter = None
        self._file = self._part.open("wb")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._parquet is not None:
                self._parquet.close()
            self._file.close()
            if self.whole and kind is None:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)

    def write(self, columns: Mapping[str, pa.Array]) -> None:
        """Add rows. Raises DataError where a column is new, or not of the type that it was before."""
        table, new = pa.table(dict(columns)), self._schema is None
        if new:  # a column without any value is taken for text
            types = [pa.string() if pa.types.is_null(field.type) else field.type for field in table.schema]
            self._schema = pa.schema(zip(table.column_names, types, strict=True))
        try:
            absent = {name: pa.nulls(len(table)) for name in self._schema.names if name not in columns}
            every = pa.table(absent | dict(columns))
            table = every.select([*self._schema.names, *every.column_names[len(self._schema) :]]).cast(self._schema)
        except ValueError:  # Arrow's own are such
            raise DataError("a further column comes late or changes its type; give all rows the same ones") from None
        if self._path.suffix == ".parquet":
            self._parquet = self._parquet or pq.ParquetWriter(self._file, self._schema)
            self._parquet.write_table(table)
        elif self._path.suffix == ".ndjson":
            lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in table.to_pylist()]
            self._file.write("".join(lines).encode())
        else:
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            if new:
                writer.writerow(table.column_names)
            writer.writerows(zip(*[map(cell_of, column.to_pylist()) for column in table.columns], strict=True))
            self._file.write(text.getvalue().encode())


@click.command(context_settings={"show_default": True})
@click.argument("applications", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="File of the decisions: .csv, .ndjson or .parquet.")
@click.option("--rejects", type=PATH, help="CSV of the rows that are refused. Default: OUTPUT's name, .rejects.csv.")
@click.option("--model", "tag", default="credit_risk_model:latest", help="Tag in the BentoML model store.")
@click.option("--policy", "policy_file", default=PROJECT / "policy.yaml", type=PATH, help="Cutoffs and rules.")
@click.option("--catalogue", "catalogue_file", default=PROJECT / "reasons.yaml", type=PATH, help="Texts of reasons.")
@click.option("--reasons/--no-reasons", default=True, help="Say why an application is not approved; slower.")
@click.option("--rows-at-once", default=50_000, type=click.IntRange(1), help="Rows in memory together.")
@click.option("--strict", is_flag=True, help="Write no decisions and fail if any row is refused.")
def score(
    applications: Path,
    output: Path,
    rejects: Path | None,
    tag: str,
    policy_file: Path,
    catalogue_file: Path,
    reasons: bool,
    rows_at_once: int,
    strict: bool,
) -> None:
    """Decide the file of APPLICATIONS (.csv, .ndjson or .parquet), a row each, as the service would one by one."""
    rejects = rejects or output.with_name(f"{output.stem}.rejects.csv")
    try:
        check_paths(applications, output, rejects)
        policy, catalogue = load_policy(policy_file), load_catalogue(catalogue_file)
        from credit_risk.model.store import load_model  # takes a second, and other commands don't need it

        model = load_model(tag)
        statuses: Counter[str] = Counter()
        faulty = 0
        with ExitStack() as stack:
            stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)))
            refused, decided = stack.enter_context(Output(rejects)), stack.enter_context(Output(output))
            progress = stack.enter_context(Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()))
            task = progress.add_task("scoring", total=1.0)
            for chunk in read(applications, rows_at_once, lambda share: progress.update(task, completed=share)):
                if chunk.rejects:
                    row, field, fix = (pa.array(said) for said in zip(*chunk.rejects, strict=True))
                    refused.write({"row": row, "field": field, "fix": fix})
                    faulty += len({row for row, _, _ in chunk.rejects})
                if len(chunk.numbers):
                    columns = decide(chunk, model, policy, catalogue, reasons=reasons)
                    decided.write(columns)
                    statuses.update(columns["Status"].to_pylist())
            refused.whole = faulty > 0
            decided.whole = bool(statuses) and not (strict and faulty)
        if not decided.whole:
            fault = f"put right the {faulty} rows that {rejects} names" if faulty else "it holds no application"
            raise DataError(f"no decision was written from {applications}; {fault}")
        if not faulty:
            rejects.unlink(missing_ok=True)  # of a run before
    except CreditRiskError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        folder = Path(error.filename or output).parent
        raise click.ClickException(f"{folder} can't be written to: {error.strerror}; name a folder that can") from None
    counts = [f"{statuses[status]:,} {status}" for status in STATUSES]
    refusals = f"; {faulty:,} rows refused, {rejects} names their faults" * (faulty > 0)
    click.echo(f"{statuses.total():,} applications decided: {', '.join(counts)}{refusals}")
