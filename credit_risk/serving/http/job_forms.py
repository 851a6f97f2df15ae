"""The forms in which files of applications come, and decisions go."""

from __future__ import annotations

from starlette.datastructures import Headers

from credit_risk.contract.conflicts import NotAcceptableError
from credit_risk.contract.errors import UnsupportedTypeError
from credit_risk.jobs.job import Form, InputForm

INPUT_FORMS: dict[str, InputForm] = {
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/vnd.apache.parquet": "parquet",
    "application/json": "json",
}
MEDIA_TYPES: dict[Form, str] = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")  # gzip, zip, zstd, bzip2, xz
PARQUET = b"PAR1"


def input_form(headers: Headers) -> InputForm:
    media_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in INPUT_FORMS:
        raise UnsupportedTypeError(f"Send a file as one of these types: {', '.join(INPUT_FORMS)}")
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedTypeError("Send the file without a Content-Encoding")
    return INPUT_FORMS[media_type]


def check_first(form: InputForm, first: bytes) -> None:
    """Refuse what is plainly something else, before all of it comes."""
    if first.startswith(COMPRESSED):
        raise UnsupportedTypeError("Send the file uncompressed")
    if first and (form == "parquet") != first.startswith(PARQUET):
        raise UnsupportedTypeError("Send a file of the type that Content-Type names")


def result_form(accept: str) -> Form:
    """Choose the form that the caller likes best (RFC 9110, 12.5.1): CSV, if it does not mind."""
    weights = dict(map(_weighed, accept.lower().split(",")))
    liked = {form: _weight(weights, kind) for form, kind in MEDIA_TYPES.items()}
    best = max(liked, key=lambda form: liked[form])
    if not liked[best]:
        raise NotAcceptableError(f"Accept one of {', '.join(MEDIA_TYPES.values())}")
    return best


def _weight(weights: dict[str, float], kind: str) -> float:
    """Find the weight of a media type: its own, or that of its range."""
    ranges = (kind, f"{kind.split('/')[0]}/*", "*/*")
    return next((weights[each] for each in ranges if each in weights), 0.0)


def _weighed(item: str) -> tuple[str, float]:
    kind, *parameters = (part.strip() for part in item.split(";"))
    given = (parameter.removeprefix("q=") for parameter in parameters if parameter.startswith("q="))
    try:
        return kind, float(next(given, "1"))
    except ValueError:
        return kind, 0.0
