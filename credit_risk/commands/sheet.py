"""A decision on record as a sheet for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from credit_risk.contract.event import ReviewLine
from credit_risk.contract.policy import Policy, Rules
from credit_risk.contract.record import DecisionRecord, ImpersonalRecord
from credit_risk.replay.counteroffer import Counteroffer
from credit_risk.replay.dossier import WARNING_TEXTS, Dossier, SealedEvent, Told, printable

WIDTH = 24  # of names
Rows = list[tuple[str, str]]  # name and value


def show(dossier: Dossier, console: Console) -> None:
    """Print a decision, section by section."""
    for title, rows in sections(dossier):
        console.print(Text(title, style="bold"), soft_wrap=True)
        for name, value in rows:
            console.print(Text(f"  {name:<{WIDTH}}{printable(value)}".rstrip()), soft_wrap=True)


def sections(dossier: Dossier) -> Iterator[tuple[str, Rows]]:
    """Give the titles and rows of the sheet."""
    record = dossier.entry.record
    then = f", then {dossier.history.status} by a person" if dossier.history.reviews else ""
    yield f"Decision {record.decision_id}: {record.status}{then}", _decided(record)
    if dossier.reasons:
        yield "Reasons, with what they add to the log odds", [_told(reason) for reason in dossier.reasons]
    if dossier.warnings:
        yield "Warnings", [_told(warning) for warning in dossier.warnings]
    if isinstance(record, DecisionRecord):
        yield "Application", [(name, _text(value)) for name, value in record.application.model_dump().items()]
    yield "Decided with", _decided_with(record, dossier.policy)
    yield "Asked by", _asked_by(record)
    if isinstance(record, DecisionRecord) and record.on_file:
        yield "On file", _on_file(record)
    for each in dossier.events:
        yield _event(each)
    if dossier.missing:
        yield "Missing", [("", sentence) for sentence in dossier.missing]
    yield "On record", [("place", dossier.entry.place), ("seal", dossier.seal)]


def said_of(offer: Counteroffer | None, record: DecisionRecord) -> str:
    """Say in sentences what would have been approved."""
    by, asked = "By our model and the policy of the time", f"below the {record.application.amount} asked for"
    if offer is None:
        return f"{by} no amount {asked} is approved, all else equal."
    said = (
        f"{by} {offer.amount} is the largest amount {asked} that is approved, all else equal: its probability of "
        f"default is {offer.probability_of_default:.4f} instead of {record.probability_of_default:.4f}."
    )
    odd = [WARNING_TEXTS[code] for code in offer.warnings]
    return f"{said} A warning would come with it: {'; '.join(odd)}." if odd else said


def _decided(record: ImpersonalRecord) -> Rows:
    return [
        ("time", str(record.time)),
        ("probability of default", str(record.probability_of_default)),
        ("score", str(record.score)),
        *([("scored by", record.scored_by)] if record.scored_by else []),
    ]


def _told(told: Told) -> tuple[str, str]:
    added = "" if told.contribution is None else f"{told.contribution:+.4f}"
    is_reason = told.code[1:].isdigit()
    name = f"{told.code:<5}{added}" if is_reason else told.code
    return name, told.text or "(no text of it is to be found)"


def _decided_with(record: ImpersonalRecord, policy: Policy | None) -> Rows:
    rows = [("policy", record.policy)]
    if policy is not None:
        rows += [
            ("  review above", str(policy.cutoffs.review_above)),
            ("  decline above", str(policy.cutoffs.decline_above)),
        ]
        rules = [(name, getattr(policy.rules, name)) for name in Rules.model_fields]
        rows += [(f"  {name}", _text(rule.model_dump(exclude={"enabled"}))) for name, rule in rules if rule.enabled]
    return [
        *rows,
        ("catalogue", record.catalogue),
        ("model", record.model),
        ("  digest", record.model_digest or "(not on record in schema 1)"),
        ("  booster's sha256", record.model_sha256),
        ("service", record.service),
    ]


def _asked_by(record: ImpersonalRecord) -> Rows:
    rows = [("request id", record.request_id), ("caller", record.caller or "(no API key was required)")]
    reference = record.reference if isinstance(record, DecisionRecord) else None
    return rows + ([("reference", reference)] if reference is not None else [])


def _event(sealed: SealedEvent) -> tuple[str, Rows]:
    line = sealed.event.line
    if isinstance(line, ReviewLine):
        what = f"Review {line.review_id}: {line.status}{', overruling the decision' if line.override else ''}"
        reasons = [(reason.code, reason.text) for reason in line.reasons]
        rows = [("reviewer", line.reviewer), *reasons, *([("note", line.note)] if line.note else [])]
    else:
        what, rows = f"Outcome {line.outcome_id}: {line.outcome}", [("date", str(line.date))]
    taken_back = [("supersedes", line.supersedes)] if line.supersedes else []
    put = [("caller", line.caller)] if line.caller else []
    at = [("time", str(line.time)), *put, ("place", sealed.event.at.place), ("seal", sealed.seal)]
    return what, [*rows, *taken_back, *at]


def _on_file(record: DecisionRecord) -> Rows:
    file = record.on_file
    assert file is not None
    taken = [(f"as of {time:%Y-%m-%d %H:%M}", ", ".join(fields)) for time, fields in file.as_of.items()]
    lists = [("stale", file.stale), ("missing", file.missing)]
    return [
        ("customer", file.customer),
        ("store", file.store),
        *taken,
        *((name, ", ".join(fields)) for name, fields in lists if fields),
    ]


def _text(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return ", ".join(f"{name} {content}" for name, content in value.items())
    return str(value)
