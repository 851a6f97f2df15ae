"""The Open Inference Protocol (V2) as bytes: where a model is, requests for rows, and what a server answers.

A row may hold NaN for what is unknown. JSON has no NaN, so it goes as null, which servers read as NaN. The binary
tensor extension sends the float32 numbers as they lie in memory; a server that speaks it says so.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from credit_risk.model.features import Matrix

BINARY = "binary_tensor_data"  # the name of the extension
HEAD_LENGTH = "Inference-Header-Content-Length"
FP32 = "FP32"
_ADDRESS = re.compile(
    r"v2\+http://(?P<credentials>[^/@\s]+@)?(?P<host>([\w.-]+|\[[0-9a-f:.]+\])(:(?P<port>\d{1,5}))?)"
    r"(?P<path>/v2/models/(?P<name>[\w.-]+)(/versions/(?P<version>[\w.-]+))?)",
    re.ASCII,
)
_DTYPES: dict[str, np.dtype[Any]] = {FP32: np.dtype("<f4"), "FP64": np.dtype("<f8")}
M = TypeVar("M", bound=BaseModel)


class ServerError(Exception):
    """A model server fails. The message is what comes after `the model server`, and holds nothing of a row."""


class WrongAnswerError(ServerError):
    """Its answer is not what was asked for."""


class Address(NamedTuple):
    """Where a model is served."""

    server: str  # http://...
    path: str
    name: str
    version: str | None
    shown: str  # without credentials

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read v2+http://HOST:PORT/v2/models/NAME[/versions/VERSION]. Raises ValueError if it is something else."""
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"] or 80) > 65535:
            raise ValueError
        host, path = found["host"], found["path"]
        server = f"http://{found['credentials'] or ''}{host}"
        return cls(server, path, found["name"], found["version"], f"v2+http://{host}{path}")


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class ServerMetadata(_Message):
    """What a server says about itself."""

    extensions: list[str] = []


class TensorMetadata(_Message):
    """What a model takes."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(_Message):
    """What a server says about a model."""

    name: str
    inputs: list[TensorMetadata] = []


class _Parameters(_Message):
    binary_data_size: int | None = None


class _Output(_Message):
    datatype: Literal["FP32", "FP64"]
    shape: list[int]
    data: list[float | None] | None = None
    parameters: _Parameters = _Parameters()


class _Head(_Message):
    """The JSON of an answer."""

    model_name: str
    model_version: str | None = None
    outputs: list[_Output]


class Answer(NamedTuple):
    """One number for each row, and who gave them."""

    model: str
    version: str | None
    values: NDArray[np.float64]


def request_of(tensor: str, matrix: Matrix, *, binary: bool) -> tuple[dict[str, str], bytes]:
    """Make the headers and the body of a request for rows (n, features)."""
    described: dict[str, Any] = {"name": tensor, "datatype": FP32, "shape": list(matrix.shape)}
    if not binary:
        body = to_json({"inputs": [described | {"data": matrix.ravel().tolist()}]}, inf_nan_mode="null")
        return {"Content-Type": "application/json"}, body
    content = matrix.astype("<f4", copy=False).tobytes()
    described |= {"parameters": {"binary_data_size": len(content)}}
    head = to_json({"inputs": [described], "parameters": {"binary_data_output": True}})
    return {"Content-Type": "application/octet-stream", HEAD_LENGTH: str(len(head))}, head + content


def read_answer(body: bytes, head_length: str | None, rows: int) -> Answer:
    """Read the answer to a request for so many rows; `head_length` is the header HEAD_LENGTH.

    Raises WrongAnswerError.
    """
    length = len(body) if head_length is None else int(head_length) if head_length.isdecimal() else 0
    head = read(_Head, body[:length])
    if len(head.outputs) != 1:
        raise WrongAnswerError(f"answers with {len(head.outputs)} outputs instead of one")
    output = head.outputs[0]
    if output.shape not in ([rows], [rows, 1]):
        raise WrongAnswerError(f"answers with the shape {output.shape} to {rows} rows")
    if output.parameters.binary_data_size is None:
        values = np.array(output.data or (), dtype=np.float64)  # null becomes NaN
    else:
        dtype = _DTYPES[output.datatype]
        content = body[length:]
        values = np.frombuffer(content[: len(content) // dtype.itemsize * dtype.itemsize], dtype).astype(np.float64)
    if values.size != rows:
        raise WrongAnswerError(f"answers with {values.size} numbers to {rows} rows")
    if not np.isfinite(values).all():
        raise WrongAnswerError("answers with numbers that are not finite")
    return Answer(head.model_name, head.model_version, values.reshape(rows))


def read(kind: type[M], body: bytes) -> M:
    """Read a message. Raises WrongAnswerError."""
    try:
        return kind.model_validate_json(body)
    except ValidationError:  # its text could quote the answer
        raise WrongAnswerError("answers with something else than the Open Inference Protocol has") from None
