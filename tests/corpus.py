"""Bodies for POST /classify: good ones, and bad ones with the field at fault and words of the fix."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

SAMPLE: dict[str, Any] = {
    "seniority": 3,
    "home": "owner",
    "time": 36,
    "age": 26,
    "marital": "single",
    "records": "no",
    "job": "freelance",
    "expenses": 35,
    "income": 0.0,
    "assets": 60000.0,
    "debt": 3000.0,
    "amount": 800,
    "price": 1000,
}
_BODY = json.dumps(SAMPLE).encode()


def body_of(**changes: Any) -> bytes:
    """The sample with some fields changed; `...` removes one."""
    return json.dumps({key: value for key, value in {**SAMPLE, **changes}.items() if value is not ...}).encode()


def raw(field: str, literal: str) -> bytes:
    """The sample with a field's value replaced by JSON text, which may be no JSON."""
    return body_of(**{field: "@"}).replace(b'"@"', literal.encode())


GOOD: dict[str, bytes] = {
    "the tutorial's sample": _BODY,
    "nulls": body_of(income=None, assets=None, debt=None),
    "whole numbers for floats": body_of(income=129, assets=0, debt=0),
    "lowest": body_of(seniority=0, time=1, age=18, expenses=0, income=0, assets=0, debt=0, amount=1, price=1),
    "highest": body_of(seniority=60, time=120, age=100, expenses=10_000, income=100_000, assets=10**7, debt=10**7),
    "dearest": body_of(amount=100_000, price=1_000_000),
    "unknown categories": body_of(home="unk", marital="unk", job="unk"),
    "amount above price": body_of(amount=2000, price=1000),
    "escaped key": _BODY.replace(b'"income"', b'"inc\\u006fme"'),
    "escaped word": _BODY.replace(b'"owner"', b'"\\u006fwner"'),
    "white space": json.dumps(SAMPLE, indent=4).encode() + b"\r\n\t ",
    "another order": json.dumps(dict(reversed(SAMPLE.items()))).encode(),
    "minus zero": raw("income", "-0.0"),
    "exponent": raw("income", "1.29e2"),
    "exponent for a whole number": raw("seniority", "1e1"),
    "decimal point for a whole number": raw("time", "36.0"),
}


class Bad(NamedTuple):
    """A body that is refused: its fault is at `field` (None: the body as a whole), and the answer says `fix`."""

    body: bytes
    field: str | None
    fix: str
    secret: str | None = None  # part of the value sent, which no answer and no log may hold


def _type_faults() -> dict[str, Bad]:
    cases = {}
    for field in ("seniority", "time", "age", "expenses", "amount", "price"):
        whole = "must be a whole number from"
        cases[f"{field}: numeric string"] = Bad(body_of(**{field: "31417"}), field, whole, "31417")
        cases[f"{field}: fraction"] = Bad(body_of(**{field: 31.417}), field, whole, "31.417")
        cases[f"{field}: boolean"] = Bad(body_of(**{field: True}), field, whole)
        cases[f"{field}: null"] = Bad(body_of(**{field: None}), field, whole)
        cases[f"{field}: too high"] = Bad(
            body_of(**{field: 31415926}), field, "must be a whole number from", "31415926"
        )
        cases[f"{field}: too low"] = Bad(body_of(**{field: -31417}), field, "must be a whole number from", "31417")
        cases[f"{field}: absent"] = Bad(body_of(**{field: ...}), field, "required; send it")
    for field in ("income", "assets", "debt"):
        number = "must be a number from"
        cases[f"{field}: numeric string"] = Bad(body_of(**{field: "31417"}), field, number, "31417")
        cases[f"{field}: boolean"] = Bad(body_of(**{field: False}), field, number)
        cases[f"{field}: NaN"] = Bad(body_of(**{field: float("nan")}), field, number)
        cases[f"{field}: Infinity"] = Bad(body_of(**{field: float("inf")}), field, number)
        cases[f"{field}: the raw file's missing code"] = Bad(body_of(**{field: 99999999}), field, "null", "99999999")
        cases[f"{field}: too low"] = Bad(body_of(**{field: -31417}), field, number, "31417")
        cases[f"{field}: absent"] = Bad(body_of(**{field: ...}), field, "send null if it is unknown")
    for field, typo in {"home": "owner ", "marital": "Maried", "records": "No", "job": "parttime"}.items():
        one_of = "must be exactly one of"
        cases[f"{field}: typo"] = Bad(body_of(**{field: typo}), field, one_of, typo)
        cases[f"{field}: number"] = Bad(body_of(**{field: 31417}), field, one_of, "31417")
        cases[f"{field}: null"] = Bad(body_of(**{field: None}), field, one_of)
        cases[f"{field}: upper case"] = Bad(body_of(**{field: "UNK-SECRET"}), field, one_of, "UNK-SECRET")
        cases[f"{field}: absent"] = Bad(body_of(**{field: ...}), field, "required; send it")
    return cases


_WHOLE = "must be a whole number from"
_NUMBER = "must be a number from"
_JSON = "not valid JSON"
_MUCH = "fields of an application, and nothing else"
_OBJECT = "as a JSON object"

BAD: dict[str, Bad] = _type_faults() | {
    "huge whole number": Bad(raw("seniority", "9" * 400), "seniority", _WHOLE, "999999"),
    "longer than a parser reads": Bad(raw("seniority", "9" * 5000), None, _JSON, "999999"),
    "huge float": Bad(raw("income", "1e999"), "income", _NUMBER, "1e999"),
    "huge whole number for a float": Bad(raw("income", "9" * 400), "income", _NUMBER, "999999"),
    "array for a number": Bad(body_of(income=[31417]), "income", _NUMBER, "31417"),
    "object for a number": Bad(body_of(income={"value": 31417}), "income", _NUMBER, "31417"),
    "array for a word": Bad(body_of(home=["owner-secret"]), "home", "must be exactly one of", "owner-secret"),
    "deep value": Bad(raw("income", "[" * 150 + "]" * 150), "income", _NUMBER),
    "unknown key": Bad(body_of(name="Jane Secret"), "name", "remove it", "Jane Secret"),
    "misspelt key": Bad(body_of(incom=31417), "incom", "send it as income", "31417"),
    "key in another case": Bad(body_of(Income=31417), "Income", "send it as income", "31417"),
    "empty key": Bad(body_of(**{"": 31417}), "", "remove it", "31417"),
    "duplicate key": Bad(_BODY[:-1] + b', "income": 31417}', "income", "more than once", "31417"),
    "duplicate key, escaped": Bad(_BODY[:-1] + b', "inc\\u006fme": 31417}', "income", "more than once", "31417"),
    "duplicate key, the first one bad": Bad(b'{"home": "se:cret", ' + _BODY[1:], "home", "more than once", "se:cret"),
    "duplicate key, the first one huge": Bad(
        b'{"seniority": ' + b"9" * 4300 + b", " + _BODY[1:], "seniority", "more than once", "999999"
    ),
    "duplicate key, the same value": Bad(_BODY[:-1] + b', "age": 26}', "age", "more than once"),
    "empty": Bad(b"", None, "the body is empty"),
    "blank": Bad(b" \n", None, "the body is empty"),
    "not JSON": Bad(b"seniority=31417", None, _JSON, "31417"),
    "form": Bad(b"seniority=3&home=owner-secret", None, _JSON, "owner-secret"),
    "cut off": Bad(_BODY[:-1], None, _JSON),
    "trailing comma": Bad(_BODY[:-1] + b",}", None, _JSON),
    "single quotes": Bad(_BODY.replace(b'"', b"'"), None, _JSON),
    "trailing text": Bad(_BODY + b"secret", None, _JSON, "secret"),
    "two objects": Bad(_BODY + _BODY, None, _JSON),
    "comment": Bad(b"/* secret */" + _BODY, None, _JSON, "secret"),
    "leading zero": Bad(raw("seniority", "003"), None, _JSON),
    "hexadecimal": Bad(raw("seniority", "0x1F"), None, _JSON),
    "control character": Bad(raw("home", '"own\ner"'), None, _JSON),
    "array": Bad(b"[" + _BODY + b"]", None, _OBJECT),
    "string": Bad(b'"secret"', None, _OBJECT, "secret"),
    "number": Bad(b"31417", None, _OBJECT, "31417"),
    "null": Bad(b"null", None, _OBJECT),
    "true": Bad(b"true", None, _OBJECT),
    "deep nesting": Bad(b"[" * 60_000, None, _MUCH),
    "deep objects": Bad(b'{"a":' * 10_000, None, _MUCH),
    "many unknown keys": Bad(body_of(**{f"key{number}": 1 for number in range(3_000)}), None, _MUCH),
    "a long list for a number": Bad(body_of(income=[31417] * 3_000), None, _MUCH, "31417"),
    "UTF-16": Bad(json.dumps(SAMPLE).encode("utf-16"), None, "UTF-8"),
    "Latin-1": Bad(_BODY.replace(b"owner", b"owner\xe9"), None, "UTF-8"),
    "byte order mark": Bad(b"\xef\xbb\xbf" + _BODY, None, "UTF-8"),
    "lone surrogate": Bad(raw("home", '"\\ud800"'), None, _JSON),
    "no fields": Bad(b"{}", "seniority", "required"),
    "wrapped": Bad(b'{"credit_application": ' + _BODY + b"}", "credit_application", "the fields themselves"),
    "wrapped in another word": Bad(b'{"data": ' + _BODY + b"}", "data", "the fields themselves"),
}
