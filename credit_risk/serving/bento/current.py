"""The rulebook in force, as a worker uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from credit_risk.contract.catalogue import Catalogue
from credit_risk.deciding.terms import Terms
from credit_risk.serving.bento.handover import Handover
from credit_risk.serving.keys import Keys
from credit_risk.serving.rulebook import Rulebook

FOLLOW_SECONDS = 1.0


class Current:
    """Follows the handover: each call notices a new rulebook. It was checked by the parent before it was published."""

    def __init__(self, handover: Handover, terms_of: Callable[[Rulebook], Terms]) -> None:
        self.has_changed: Callable[[Rulebook], None] = lambda _: None
        self._handover = handover
        self._terms_of = terms_of
        self._place = handover.place
        self._take(handover.read(self._place))

    def keys(self) -> Keys:
        """Give the API keys in force."""
        self._follow()
        return self._keys

    def terms(self) -> Terms:
        """Give what decisions are made by and told in. A batch asks for them once."""
        self._follow()
        return self._terms

    def catalogue(self) -> Catalogue:
        """Give the reasons in force."""
        self._follow()
        return self._catalogue

    def on_file(self) -> frozenset[str]:
        """Give the fields that an application with a customer may leave out."""
        on_file = self.terms().on_file
        return on_file.names if on_file else frozenset()

    def follow_always(self) -> None:
        """Notice a new rulebook within a second even without a request. To be called on the event loop."""
        self._follow()
        asyncio.get_running_loop().call_later(FOLLOW_SECONDS, self.follow_always)

    def _follow(self) -> None:
        place = self._handover.place
        if place != self._place:
            self._place = place
            rulebook = self._handover.read(place)
            self._take(rulebook)
            self.has_changed(rulebook)

    def _take(self, rulebook: Rulebook) -> None:
        self._keys, self._terms, self._catalogue = rulebook.keys, self._terms_of(rulebook), rulebook.catalogue
