"""Decisions on record, answered again byte for byte."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast

from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.errors import DataError
from credit_risk.contract.record import DecisionRecord, ImpersonalRecord
from credit_risk.deciding.decided import Decided, Origin
from credit_risk.deciding.rendering import AnswerRenderer, Renderer
from credit_risk.deciding.terms import CurrentTerms
from credit_risk.record.archive import FOLDER, Archive
from credit_risk.record.encryption import ENCRYPTED
from credit_risk.record.lines import find_lines
from credit_risk.record.writer import OFF, STDOUT, Place

if TYPE_CHECKING:
    from credit_risk.contract.application import CreditApplication

Named = tuple[str, str, str]  # a model, a policy and a catalogue


class OnRecord:
    """Finds decisions in the decision log. Where it is a stream or off, nothing can be found."""

    def __init__(self, place: Place, terms: CurrentTerms) -> None:
        self._folder = None if place in (OFF, STDOUT) else Path(place)
        self._terms = terms

    def answers(self, ids: Collection[str]) -> dict[str, bytes]:
        """Give the answers of the decisions with these ids that are on record.

        This reads files. Raises OSError, and DataError if the catalogue of their reasons is nowhere to be found.
        """
        if self._folder is None or not ids:
            return {}
        renderers: dict[Named, AnswerRenderer] = {}
        found: dict[str, bytes] = {}
        for decision_id, line in find_lines(self._folder, ids).items():
            is_erased = ENCRYPTED in line
            record = (ImpersonalRecord if is_erased else DecisionRecord).model_validate_json(line)
            named = record.model, record.policy, record.catalogue
            if named not in renderers:
                renderers[named] = AnswerRenderer(record.model, record.policy[:12], self._catalogue(record.catalogue))
            found[decision_id] = renderers[named].answer(_decided(record, renderers[named]))
        return found

    def _catalogue(self, name: str) -> Catalogue:
        assert self._folder
        in_force = self._terms().renderer.basis.catalogue
        content = in_force if sha256(in_force).hexdigest() == name else None
        content = content or Archive(self._folder / FOLDER).content_of("catalogue", name)
        if content is None:
            raise DataError(f"the catalogue {name} is not in the archive of {self._folder}; restore it")
        return Catalogue.model_validate_json(content)


def _decided(record: ImpersonalRecord, renderer: AnswerRenderer) -> Decided:
    """Take what an answer tells from a record. Of a decision that was erased, it tells no reference."""
    return Decided(
        record.decision_id,
        record.time.isoformat(),
        cast("CreditApplication", None),  # no answer tells it
        b"",
        record.margin,
        record.probability_of_default,
        record.score,
        record.status,
        tuple((reason.code, reason.contribution) for reason in record.reasons),
        record.warnings,
        Origin(record.request_id, record.caller, record.reference if isinstance(record, DecisionRecord) else None),
        None,
        cast("Renderer", renderer),  # only of answers
        record.scored_by,
    )
