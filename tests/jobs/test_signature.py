"""Secrets and signatures, as the reference library of Standard Webhooks sees them."""

from __future__ import annotations

import base64
import json
import time

import pytest
from pydantic import BaseModel, ConfigDict
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from credit_risk.jobs.signature import Secret, WebhookSecret

BODY = '{"type":"job.succeeded","data":{"name":"Zoë"}}'.encode()


def written(size: int) -> str:
    return f"whsec_{base64.b64encode(bytes(range(size))).decode()}"


def headers(timestamp: int, signature: str) -> dict[str, str]:
    return {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}


@pytest.mark.parametrize("size", [24, 33, 64])
def test_the_reference_library_verifies_what_a_secret_signs(size: int) -> None:
    now = int(time.time())
    signature = Secret.parse(written(size)).sign("msg_1", now, BODY)
    library = Webhook(written(size))
    assert library.verify(BODY, headers(now, signature)) == json.loads(BODY)
    for changed in (headers(now + 1, signature), headers(now, signature) | {"webhook-id": "msg_2"}):
        with pytest.raises(WebhookVerificationError):
            library.verify(BODY, changed)
    with pytest.raises(WebhookVerificationError):
        library.verify(BODY + b" ", headers(now, signature))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        written(23),
        written(65),
        written(32).removeprefix("whsec_"),
        written(32).upper(),
        written(32)[:-1],
        written(32).replace("_", "_ "),
        written(32) + "\n",
        "whsec_" + "ü" * 40,
        7,
        None,
    ],
)
def test_another_secret_is_refused_and_not_shown(text: object) -> None:
    with pytest.raises(ValueError, match="must be whsec_ and the base64 of 24 to 64 random bytes") as refused:
        Secret.parse(text)
    assert str(refused.value).endswith("random bytes")
    assert refused.value.__cause__ is None


def test_a_secret_is_a_field_that_does_not_show_itself() -> None:
    class Settings(BaseModel):
        model_config = ConfigDict(frozen=True, strict=True)

        secrets: dict[str, WebhookSecret]

    settings = Settings.model_validate_json(json.dumps({"secrets": {"bank": written(24)}}))
    assert settings.secrets["bank"] == Secret(bytes(range(24)))
    assert repr(settings) == "Settings(secrets={'bank': Secret()})"
