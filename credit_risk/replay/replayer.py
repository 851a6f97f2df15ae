"""Make the decisions on record again.

Every application goes through the `Decider` and the `Renderer` that the service uses. What follows from an application,
its model and its policy can be checked; the rest of a record, such as the time and the caller, can't.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from credit_risk.contract.catalogue import RULE_CODES, SCORE_CODES, Catalogue
from credit_risk.contract.errors import ModelError, RequestError
from credit_risk.contract.on_file import FieldsOnFile
from credit_risk.contract.policy import Policy
from credit_risk.contract.record import DecisionRecord
from credit_risk.deciding.completion import Case, Completed, File
from credit_risk.deciding.decided import Origin
from credit_risk.deciding.decider import Decider
from credit_risk.deciding.log import NoLog
from credit_risk.deciding.rendering import Renderer
from credit_risk.deciding.scoring import InProcessScoring, Score, Scoring
from credit_risk.deciding.terms import Terms, always
from credit_risk.model.recorded import explains
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel
from credit_risk.record.reader import Entry
from credit_risk.replay.sources import BRING, Sources

# The texts of reasons are not on record, so any will do.
CATALOGUE = Catalogue(language="en", reasons={code: code for code in SCORE_CODES + RULE_CODES})


Named = tuple[str | None, ...]  # what a record names


class Again(NamedTuple):
    """A decision made again."""

    record: DecisionRecord
    changed: bool  # whether by another model or policy than the record names
    told: frozenset[str] | None  # codes of reasons that the catalogue has texts for; a what-if does not look


class ScoresAlone:
    """Scores as a model of an earlier version did, and explains nothing, which that version did in another way."""

    def __init__(self, model: StoredModel) -> None:
        self._encoder = model.encoder
        self._scorer = model.scorer

    async def score(self, rows: Sequence[bytes], review_above: float) -> list[Score]:  # noqa: ARG002 - the seam's
        margins = self._scorer.margins(self._encoder.matrix(rows)).tolist()
        return [Score(margin, probability_of(margin), ()) for margin in margins]


class AsRecorded:
    """Takes applications as they were completed then, so that no store needs to be asked."""

    async def complete(self, asked: Sequence[Case], on_file: FieldsOnFile | None) -> list[Completed | RequestError]:  # noqa: ARG002 - the seam's
        return [each for each in asked if isinstance(each, Completed)]


class Replayer:
    """Makes decisions again, each with what its record names, or with the model or policy of a what-if."""

    def __init__(self, sources: Sources, policy: Policy | None, model: StoredModel | None) -> None:
        self._sources = sources
        self._policy = policy
        self._model = model
        self._is_strict = policy is None and model is None
        self._deciders: dict[Named, Decider] = {}

    async def replay(self, entries: Sequence[Entry]) -> list[Again]:
        """Make decisions again, in order. Raises DataError or ModelError if what decided one is missing."""
        alike: dict[Named, list[int]] = defaultdict(list)
        for number, entry in enumerate(entries):
            alike[_named_by(entry.record)].append(number)
        found: dict[int, Again] = {}
        for key, numbers in alike.items():
            first = entries[numbers[0]]
            if key not in self._deciders:
                self._deciders[key] = self._decider_of(first)
            cases = [_case_of(entries[number].record) for number in numbers]
            decisions = await self._deciders[key].decide_all([cases], Origin("", None))
            changed = self._is_changed(first.record)
            is_told = self._is_strict and first.record.schema_version > 1
            told = frozenset(self._sources.texts_of(first)) if is_told else None
            for number, decided in zip(numbers, decisions, strict=True):
                record = DecisionRecord.model_validate_json(decided.renderer.record(decided))
                found[number] = Again(record, changed, told)
        return [found[number] for number in range(len(entries))]

    def _decider_of(self, entry: Entry) -> Decider:
        model = self._model or self._sources.model_of(entry)
        policy = self._policy or self._sources.policy_of(entry, f"{BRING}, or make it a what-if with --policy")
        is_earlier = self._model is None and entry.record.schema_version == 1
        if not is_earlier and not explains(model):
            fault = f"model {model.tag} was saved by another version, so this one can't find its reasons"
            raise ModelError(f"{fault}; it decided {entry.place}: replay that with the image that decided")
        scoring: Scoring = ScoresAlone(model) if is_earlier else InProcessScoring(model)
        terms = always(Terms(policy, Renderer(model, policy, CATALOGUE, release="")))
        return Decider(model.encoder, scoring, terms, NoLog(), completer=AsRecorded())

    def _is_changed(self, record: DecisionRecord) -> bool:
        policy, model = self._policy, self._model
        if policy is not None and not policy.sha256.startswith(record.policy):
            return True
        if model is None:
            return False
        return model.tag != record.model or model.digest != (record.model_digest or model.digest)


def _case_of(record: DecisionRecord) -> Completed:
    """Take an application and what came from the file as they are on record."""
    file = record.on_file
    if file is None:
        return Completed(record.application, None)
    as_of = {time.timestamp(): fields for time, fields in file.as_of.items()}
    used = File(file.customer, file.store, as_of, tuple(file.stale), tuple(file.missing))
    return Completed(record.application, used)


def _named_by(record: DecisionRecord) -> Named:
    return record.model, record.model_sha256, record.model_digest, record.policy, record.catalogue
