"""`python -m credit_risk replay`: make the decisions on record again, and say what comes out differently.

Every application goes through the `Decider` that the service decides with. A record is checked on all that follows from
its application, model and policy; the rest of it (the time, the caller) has nothing to be compared with.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from credit_risk.contract.catalogue import RULE_CODES, SCORE_CODES, Catalogue
from credit_risk.contract.errors import CreditRiskError, DataError, ModelError
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.contract.record import DecisionRecord
from credit_risk.log_reader import Entry, LogReader
from credit_risk.model.store import StoredModel, load_model
from credit_risk.serving.decider import Decider, Origin
from credit_risk.serving.decision_log import NoLog
from credit_risk.serving.metrics import Metrics
from credit_risk.serving.settings import load_settings
from credit_risk.what_if import WhatIf, differences, load_outcomes

CHUNK = 1000  # decisions in memory at once
SHOWN = 20  # faults; all are counted
# The texts of reasons are not on record.
CATALOGUE = Catalogue(language="en", reasons={code: code for code in SCORE_CODES + RULE_CODES})


class Kept(NoLog):
    """A log that keeps its records in memory."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    def append(self, records: list[bytes]) -> None:
        self.records += records


class Replayer:
    """Makes decisions on record again: with one model, or each with the one that its record names."""

    def __init__(self, policy: Policy, model: StoredModel | None) -> None:
        self._policy = policy
        self._model = model
        self._loaded: dict[str, StoredModel] = {}
        self._metrics = Metrics()

    def replay(self, entries: Sequence[Entry]) -> list[DecisionRecord]:
        """The new records, in order. Raises ModelError where a record's model can't be loaded."""
        log = Kept()
        for tag, run in groupby(entries, key=lambda entry: entry.record.model):
            same = list(run)
            model = self._model or self._named(tag, same[0].place)
            decider = Decider(model, self._policy, CATALOGUE, log, self._metrics)
            decider.decide([entry.record.application for entry in same], [Origin("", None)] * len(same))
        self._metrics.statuses.clear()  # nobody flushes them
        return [DecisionRecord.model_validate_json(record) for record in log.records]

    def _named(self, tag: str, place: str) -> StoredModel:
        if tag not in self._loaded:
            try:
                self._loaded[tag] = load_model(tag)
            except ModelError as error:
                fault = str(error).partition(";")[0]  # then comes the advice to train one, which would be another
                raise ModelError(f"{fault}; it decided {place}: import it with `make import FROM=FILE`") from None
        return self._loaded[tag]


class Faults:
    """What is wrong with a log: all of it counted, the first of it kept to be shown."""

    def __init__(self) -> None:
        self.count = 0
        self.shown: list[str] = []
        # SQLite puts this into a temporary file when it grows, as the ids of a long log would not fit into memory.
        self._ids = sqlite3.connect("")
        self._ids.executescript("PRAGMA journal_mode = OFF; CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def look_for(self, entry: Entry, new: DecisionRecord, *, same_versions: bool) -> None:
        recorded = entry.record
        found = list(differences(recorded, new, same_versions=same_versions))
        if not self._ids.execute("INSERT OR IGNORE INTO ids VALUES (?)", (recorded.decision_id,)).rowcount:
            found.append("decision_id is on record before")
        self.count += len(found)
        for fault in found[: SHOWN - len(self.shown)]:
            self.shown.append(f"{entry.place}: decision {recorded.decision_id}: {fault}")


@click.command()
@click.argument("log", metavar="LOG...", nargs=-1, required=True)
@click.option("--model", metavar="TAG", help="What if this model had decided?")
@click.option("--policy", type=click.Path(path_type=Path), help="What if this policy file had?")
@click.option("--outcomes", type=click.Path(path_type=Path), help="CSV of decision_id and default, 0 or 1.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the what-if into this .png or .svg.")
@click.option("--lenient", is_flag=True, help="Skip lines that are no records, as in a container's captured output.")
def replay(
    log: Sequence[str], model: str | None, policy: Path | None, outcomes: Path | None, plot: Path | None, lenient: bool
) -> None:
    """Make the decisions on record in LOGs again, and compare.

    A LOG is a file of decision records, a folder of them, or - for standard input. Each decision is made with the model
    that its record names, and the policy in use; the exit status is 1 if anything differs. With another model or policy
    it is a what-if: which decisions would change, and what that would do to those approved.
    """
    if plot and plot.suffix not in (".png", ".svg"):
        raise click.BadParameter("must end in .png or .svg", param_hint="--plot")
    if (outcomes or plot) and not (model or policy):
        raise click.UsageError("--outcomes and --plot belong to a what-if: name a --model or a --policy")
    try:
        faults, what_if = _run(LogReader(log, lenient=lenient), model, policy, outcomes)
        if what_if.changed:
            what_if.show(Console())
        if plot:
            what_if.plot(plot)
    except CreditRiskError as error:
        raise click.ClickException(str(error)) from None
    decisions = f"{what_if.n:,} decision{_s(what_if.n)}"
    if faults.count:
        some = f", {SHOWN} of them shown" * (faults.count > SHOWN)
        click.echo("\n".join([*faults.shown, f"{decisions}, {faults.count:,} difference{_s(faults.count)}{some}"]))
        sys.exit(1)
    if not what_if.changed:
        click.echo(f"{decisions}, all identical")


def _s(count: int) -> str:
    return "s" * (count != 1)


def _run(reader: LogReader, tag: str | None, named: Path | None, outcomes: Path | None) -> tuple[Faults, WhatIf]:
    policy_file = named or load_settings().policy
    policy, model = load_policy(policy_file), load_model(tag) if tag else None
    replayer, faults, what_if = Replayer(policy, model), Faults(), WhatIf(load_outcomes(outcomes) if outcomes else {})
    entries, version, screen = reader.entries(), policy.version, Console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task("Replaying", total=reader.size)
        while chunk := list(islice(entries, CHUNK)):
            for entry in chunk:
                if named is None and entry.record.policy != version:
                    raise DataError(
                        f"{entry.place} was decided by policy {entry.record.policy}, and {policy_file} is "
                        f"{version}: name the file of the policy with --policy"
                    )
            for entry, new in zip(chunk, replayer.replay(chunk), strict=True):
                other = new.policy != entry.record.policy or (model is not None and model.tag != entry.record.model)
                faults.look_for(entry, new, same_versions=not other)
                what_if.add(entry.record, new, changed=other)
            progress.advance(task, sum(entry.size for entry in chunk))
    for place in reader.torn:
        click.echo(f"{place} is torn, as a crash leaves the last line, and left out", err=True)
    if reader.skipped:
        click.echo(f"{reader.skipped:,} line{_s(reader.skipped)} left out, as no records of decisions", err=True)
    if not what_if.n:
        raise DataError("there is no decision on record in what was named")
    return faults, what_if
