"""Make the decisions on record again.

Every application goes through the `Decider` and the `Renderer` that the service uses. What follows from an application,
its model and its policy can be checked; the rest of a record, such as the time and the caller, can't.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from credit_risk.contract.catalogue import RULE_CODES, SCORE_CODES, Catalogue
from credit_risk.contract.errors import ModelError
from credit_risk.contract.policy import Policy
from credit_risk.contract.record import DecisionRecord
from credit_risk.deciding.decided import Origin
from credit_risk.deciding.decider import Decider
from credit_risk.deciding.log import NoLog
from credit_risk.deciding.rendering import Renderer
from credit_risk.deciding.scoring import InProcessScoring
from credit_risk.deciding.terms import Terms, always
from credit_risk.model.store import StoredModel, load_model
from credit_risk.record.reader import Entry

# The texts of reasons are not on record, so any will do.
CATALOGUE = Catalogue(language="en", reasons={code: code for code in SCORE_CODES + RULE_CODES})


class Replayer:
    """Makes decisions again, with one model or each with the model that its record names."""

    def __init__(self, policy: Policy, model: StoredModel | None) -> None:
        self._policy = policy
        self._model = model
        self._loaded: dict[str, StoredModel] = {}

    async def replay(self, entries: Sequence[Entry]) -> list[DecisionRecord]:
        """Give the new records, in order. Raises ModelError if a record's model can't be loaded."""
        records: list[DecisionRecord] = []
        for tag, run in groupby(entries, key=lambda entry: entry.record.model):
            same_model = list(run)
            model = self._model or self._recorded_model(tag, same_model[0].place)
            terms = always(Terms(self._policy, Renderer(model, self._policy, CATALOGUE, release="")))
            decider = Decider(model.encoder, InProcessScoring(model), terms, NoLog())
            applications = [entry.record.application for entry in same_model]
            decisions = await decider.decide_all([applications], Origin("", None))
            records += [DecisionRecord.model_validate_json(decided.renderer.record(decided)) for decided in decisions]
        return records

    def _recorded_model(self, tag: str, place: str) -> StoredModel:
        if tag not in self._loaded:
            try:
                self._loaded[tag] = load_model(tag)
            except ModelError as error:
                fault = str(error).partition(";")[0]  # the advice to train a model would not bring this one back
                raise ModelError(f"{fault}; it decided {place}: import it with `make import FROM=FILE`") from None
        return self._loaded[tag]
