"""Granian, which speaks RSGI: the model in process, validation by Pydantic, each request decided by itself."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from bench.peers.shared import InProcess
from credit_risk.contract.application import CreditApplication

JSON = [("content-type", "application/json")]
model = InProcess.load()


async def app(scope: Any, protocol: Any) -> None:
    if scope.path != "/classify":
        protocol.response_empty(404, [])
        return
    try:
        application = CreditApplication.model_validate_json(await protocol())
    except ValidationError as error:
        protocol.response_bytes(422, JSON, error.json(include_input=False).encode())
        return
    protocol.response_bytes(200, JSON, model.decide([application])[0].model_dump_json().encode())
