"""From the bytes of a request to a review or an outcome. Every fault is named with its fix, never a value."""

from __future__ import annotations

import json
from collections import Counter
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from credit_risk.contract.catalogue import MAX_REASONS, Catalogue
from credit_risk.contract.customer import LONGEST
from credit_risk.contract.decision import Reason
from credit_risk.contract.errors import Detail, InvalidRequestError
from credit_risk.contract.event import LONGEST_NOTE, Outcome, Review
from credit_risk.contract.faults import MAX_DETAILS

E = TypeVar("E", bound=BaseModel)
FIXES = {
    "status": "must be APPROVED or DECLINED, as the person has decided",
    "reviewer": f"must be a text of 1 to {LONGEST} printable characters on one line: who has decided",
    "reason_codes": f"must be up to {MAX_REASONS} codes of the catalogue of reasons, each once",
    "note": f"must be a text of 1 to {LONGEST_NOTE} printable characters",
    "override": "must be true or false",
    "outcome": "must be repaid or defaulted",
    "date": "must be a date such as 2026-11-27",
    "supersedes": "must be an id as an answer has it, such as 01a1f846-be8a-76fb-b12b-52a70f17da92",
}


def parse_review(body: bytes) -> Review:
    """Parse a JSON object as a review. Raises InvalidRequestError with a detail for each fault."""
    return _parsed(body, Review)


def parse_outcome(body: bytes) -> Outcome:
    """Parse a JSON object as an outcome. Raises InvalidRequestError with a detail for each fault."""
    return _parsed(body, Outcome)


def _parsed(body: bytes, kind: type[E]) -> E:
    try:
        parsed = kind.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:MAX_DETAILS]
        raise _refusal(kind, [_detail(kind, fault) for fault in faults]) from None
    keys = Counter(key for key, _ in json.loads(body, object_pairs_hook=list))
    twice = [key for key, times in keys.items() if times > 1]  # JSON parsers silently take the last
    if twice:
        what = "given more than once; send it once"
        raise _refusal(kind, [Detail(loc=[key], msg=what, type="duplicate_key") for key in twice])
    return parsed


def reasons_of(review: Review, catalogue: Catalogue) -> list[Reason]:
    """Give the reasons of a review with their texts. Raises InvalidRequestError if there are none to decline for."""
    texts = catalogue.for_reviews
    if any(code not in texts for code in review.reason_codes):
        raise refusal_of(Review, "reason_codes", f"must be codes of the catalogue of reasons: {', '.join(texts)}")
    if review.status == "DECLINED" and not review.reason_codes:
        raise refusal_of(Review, "reason_codes", "required to decline; send the principal reasons (12 CFR 1002.9(b))")
    return [Reason(code=code, text=texts[code]) for code in review.reason_codes]


def refusal_of(kind: type[BaseModel], field: str, fix: str, fault: str = "value_error") -> InvalidRequestError:
    """Refuse a review or an outcome for what one field holds."""
    return _refusal(kind, [Detail(loc=[field], msg=fix, type=fault)])


def _refusal(kind: type[BaseModel], details: list[Detail]) -> InvalidRequestError:
    what = kind.__name__.lower()
    fields = dict.fromkeys(str(detail["loc"][0]) for detail in details if detail["loc"])
    if not fields:
        return InvalidRequestError(f"The body is no {what}", details)
    faults = "1 fault" if len(details) == 1 else f"{len(details)} faults"
    return InvalidRequestError(f"{faults} in the {what}: {', '.join(fields)}", details)


def _detail(kind: type[BaseModel], fault: ErrorDetails) -> Detail:
    loc, fields = list(fault["loc"]), ", ".join(kind.model_fields)
    if not loc:
        return Detail(loc=[], msg=f"send a JSON object of the fields {fields}", type=fault["type"])
    if fault["type"] == "extra_forbidden":
        loc[0] = str(loc[0])[:64]  # this is the sender's text, not ours
        return Detail(loc=loc, msg=f"not a field; remove it: the fields are {fields}", type=fault["type"])
    if fault["type"] == "missing":
        return Detail(loc=loc, msg=f"required; {FIXES[str(loc[0])]}", type=fault["type"])
    return Detail(loc=loc, msg=FIXES[str(loc[0])], type=fault["type"])
