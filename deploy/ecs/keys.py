"""Read the file of API keys."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from credit_risk.serving.keys import Keys
from deploy.errors import DeployError

MAX_BYTES = 4096  # that CloudFormation takes in one parameter


def load_keys(path: Path) -> dict[str, str]:
    """Read API keys as the parameters ApiKeys and ApiKeysVersion. Raises DeployError, which never quotes the file."""
    try:
        written = path.read_bytes()
        keys = TypeAdapter(Keys).validate_json(written)
    except OSError as error:
        raise DeployError(f"{path} can't be read: {error.strerror}") from None
    except ValidationError:
        keys = {}
    if not keys:
        raise DeployError(
            f"{path} must be a JSON object of the sha256 of tokens, in hexadecimal, by name; "
            "`python -m credit_risk new-key NAME` makes one"
        )
    text = json.dumps(json.loads(written), sort_keys=True, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        raise DeployError(f"{path} has {len(text)} bytes of keys, but CloudFormation takes {MAX_BYTES}; leave some out")
    return {"ApiKeys": text, "ApiKeysVersion": sha256(text.encode()).hexdigest()[:12]}
