"""A chunk's way from what was read to what is written, which any process can do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.portfolio.blocks import Block
from credit_risk.portfolio.outcome import split_outcome
from credit_risk.portfolio.readers import Lines, check
from credit_risk.portfolio.recording import RECORD, Recording
from credit_risk.portfolio.writer import Layout, Output


@dataclass
class Counts:
    """What came of rows."""

    statuses: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    def add(self, more: Counts) -> None:
        self.statuses.update(more.statuses)
        self.refused += more.refused


class Done(NamedTuple):
    """What is to be written of a chunk."""

    decisions: pa.RecordBatch | bytes  # or as the layout has rendered them
    layout: Layout | None
    rejects: pa.RecordBatch
    records: pa.Array | None
    counts: Counts


class Outputs(NamedTuple):
    """The files that are written."""

    decisions: Output
    rejects: Output
    records: Recording | None = None

    def write(self, done: Done) -> Counts:
        """Write a chunk, and give what came of it."""
        if len(done.rejects):
            self.rejects.write(done.rejects)
        if done.counts.statuses:
            if self.records:
                self.records.write(done.records)
            if done.layout:
                self.decisions.append(done.decisions, done.layout)
            else:
                self.decisions.write(done.decisions)
        return done.counts


def work(
    rows: Block | Lines, decider: BatchDecider, suffix: str, layout: Layout | None, file: str | None = None
) -> Done:
    """Check, decide and, for a file of text whose layout is known, render rows.

    `suffix` and `layout` are those of the file of decisions. `file` is the name of the rows' own, if there are several.
    """
    decisions, rejects = split_outcome(decider.decide(check(rows), file))
    records = decisions[RECORD] if decider.records else None
    if decider.records:
        decisions = decisions.drop_columns([RECORD])
    counts = Counts(Counter(decisions["Status"].to_pylist()), len(rejects["row"].unique()))
    if file is not None:
        rejects = rejects.append_column("file", pa.repeat(file, len(rejects)))
    if suffix == ".parquet" or not len(decisions):
        return Done(decisions, None, rejects, records, counts)
    if layout is None and isinstance(rows, Block):  # all blocks of a file have the same columns; lines may have others
        layout = Layout.of(decisions, suffix)
    return Done(layout.render(decisions) if layout else decisions, layout, rejects, records, counts)
