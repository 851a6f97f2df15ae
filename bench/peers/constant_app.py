"""A constant answer after reading the body: what uvicorn can do at most."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

BODY = (
    b'{"Status":"APPROVED","probability_of_default":0.1179,"score":545,"warnings":[],'
    b'"decision_id":"01a1f857-c36b-7456-8588-66ea0592b91d","model":"credit_risk_model:e74blnheywu5eax4",'
    b'"policy":"e183699b9bb3"}'
)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
