"""What both model APIs do between their waits: the model of the store, and how long it pretends to take."""

from __future__ import annotations

import json
import os
import random
from functools import cache

from pydantic import ValidationError

from credit_risk.contract.application import CreditApplication
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel, load_model

SHORTEST, LONGEST = 0.040, 0.050  # seconds


class NoApplicationError(Exception):
    """The body is nothing that the model can score: its status is 422."""


def draw_sleep() -> float:
    """Draw how many seconds to sleep before an answer; 0 for a model that answers as fast as it can."""
    return random.uniform(SHORTEST, LONGEST) if _sleeps() else 0.0


def predict(body: bytes, slept: float) -> float:
    """Give the probability of default of an application.

    Of an array of numbers, a model that slept gives for how long, and another one the probability of the row.
    """
    if body.lstrip().startswith(b"["):
        return slept if _sleeps() else _probability(_row(body))
    try:
        application = CreditApplication.model_validate_json(body)
    except ValidationError:
        raise NoApplicationError("send an application, or an array of numbers") from None
    return _probability(model().encoder.encode(application))


@cache
def model() -> StoredModel:
    """Load the model, once in each process."""
    stored = load_model(os.environ.get("CREDIT_RISK_MODEL", "credit_risk_model:latest"))
    _ = stored.scorer  # which is loaded when it is first used
    return stored


def _probability(row: bytes) -> float:
    return probability_of(float(model().scorer.margins(model().encoder.matrix([row]))[0]))


def _row(body: bytes) -> bytes:
    names = model().encoder.names
    try:
        numbers = [float(number) for number in json.loads(body)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != len(names):
        raise NoApplicationError(f"send an array of {len(names)} numbers, in the order {', '.join(names)}")
    import numpy as np

    return np.array(numbers, dtype=np.float32).tobytes()


def _sleeps() -> bool:
    return os.environ.get("MODEL_SLEEPS", "yes") == "yes"
