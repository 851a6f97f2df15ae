"""What applications would find on file: how many customers have each field, how old it is, and who would be refused."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict

from credit_risk.contract.on_file import FieldsOnFile
from credit_risk.deciding.completion import INVALID, TOO_OLD, UNKNOWN, Fault, take
from credit_risk.deciding.feature_store import Profile
from credit_risk.portfolio.checking import check_cell

TAKEN = ("fresh", "stale", "missing")
REFUSED = {UNKNOWN: "not on file", TOO_OLD: "too old", INVALID: "invalid"}
VERDICTS = (*TAKEN, *REFUSED.values())


class Coverage:
    """Adds up what applications that send nothing but what is not on file would find."""

    def __init__(self, on_file: FieldsOnFile) -> None:
        self.customers = 0
        self.refused = 0
        self.verdicts: dict[str, Counter[str]] = defaultdict(Counter)  # by field
        self.oldest: dict[str, float] = {}  # by field; Unix seconds
        self._on_file = on_file

    def add(self, profile: Profile) -> None:
        """Add a customer."""
        verdicts = verdicts_of(profile, self._on_file)
        self.customers += 1
        self.refused += not set(verdicts.values()) <= set(TAKEN)
        for field, verdict in verdicts.items():
            self.verdicts[field][verdict] += 1
        for field, (_, as_of) in profile.fields.items():
            self.oldest[field] = min(as_of, self.oldest.get(field, as_of))


def verdicts_of(profile: Profile, on_file: FieldsOnFile) -> dict[str, str]:
    """Say what an application would find of each field, by name."""
    now, fields = time.time(), profile.fields
    verdicts = {}
    for name, rule in on_file.fields.items():
        taken = take(name, profile, fields, rule, now)
        if isinstance(taken, Fault):
            verdicts[name] = REFUSED[taken]
        elif taken.as_of is None:
            verdicts[name] = "missing"
        elif not check_cell(name, json.dumps(taken.value))[1]:
            verdicts[name] = REFUSED[INVALID]
        else:
            verdicts[name] = "stale" if taken.is_stale else "fresh"
    return verdicts
