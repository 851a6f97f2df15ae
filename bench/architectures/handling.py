"""What both scoring handlers do between their waits: from a request to what the models are asked, and to the answer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from statistics import mean
from typing import Any

from pydantic import ValidationError

from credit_risk.contract.application import CreditApplication
from credit_risk.contract.policy import load_policy
from credit_risk.serving.settings import PROJECT

REDIS_URL = os.environ.get("FEATURE_STORE_URL", "redis://127.0.0.1:6390/1")
ON_FILE = ("seniority", "home", "age", "marital", "records", "job", "expenses", "income", "assets", "debt")
NOBODY = "nobody"  # whose fields are looked up for an array of numbers: a key that is never there
POLICY = load_policy(PROJECT / "policy.yaml")


class RequestRefusedError(Exception):
    """The request can't be answered: its status is 422."""


class Asked:
    """A request: the fields of an application, of which those on file may be left out, or an array of numbers."""

    def __init__(self, body: bytes) -> None:
        try:
            self._content = json.loads(body)
        except ValueError:
            raise RequestRefusedError("the body is not JSON") from None
        if not isinstance(self._content, dict | list):
            raise RequestRefusedError("send an array of numbers, or an object with a customer")
        self._application: CreditApplication | None = None

    @property
    def key(self) -> str:
        """Under which the feature store has the customer's fields."""
        return key_of(str(self._content.get("customer")) if isinstance(self._content, dict) else NOBODY)

    def for_models(self, on_file: bytes | str | None) -> bytes:
        """Give what the model APIs are asked: the fields that were sent, on top of those on file."""
        if isinstance(self._content, list):
            return json.dumps(self._content).encode()
        fields = json.loads(on_file or b"{}") | self._content
        fields.pop("customer", None)
        try:
            self._application = CreditApplication.model_validate(fields)
        except ValidationError as error:
            faults = ", ".join(str(fault["loc"][0]) for fault in error.errors())
            raise RequestRefusedError(f"send these fields, or fix them: {faults}") from None
        return self._application.model_dump_json().encode()

    def answer(self, details: Sequence[float]) -> dict[str, Any]:
        """Give the decision by the mean of what the models said; for an array, the mean alone."""
        if self._application is None:
            return {"detail": mean(details)}
        probability = mean(details)
        status = POLICY.decide(probability, self._application).status
        return {"Status": status, "probability_of_default": round(probability, 4)}


def key_of(customer: str) -> str:
    """Give the key of a customer's fields in the feature store."""
    return f"customer:{customer}"


def model_urls(default: str) -> list[str]:
    """List the addresses of the model APIs that every decision asks: twice the same, as in the original, by default."""
    return os.environ.get("MODEL_URLS", f"{default},{default}").split(",")
