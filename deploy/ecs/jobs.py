"""Read the file with the address of the Redis that keeps jobs."""

from __future__ import annotations

import secrets
from pathlib import Path

from pydantic import RedisDsn, TypeAdapter

from deploy.errors import DeployError


def load_jobs_url(path: Path) -> dict[str, str]:
    """Read the address as the parameters JobsUrl, its version and JobsPort. Raises DeployError without quoting it.

    An empty file turns jobs off. The version is random, because a hash could give a password away.
    """
    try:
        text = path.read_text().strip()
        url = TypeAdapter(RedisDsn).validate_python(text) if text else None
    except OSError as error:
        raise DeployError(f"{path} can't be read: {error.strerror}") from None
    except ValueError:  # pydantic's own would quote it
        url = None
    if url is None and text:
        raise DeployError(f"{path} must have the address of a Redis, redis://HOST:PORT/DB or rediss:// with TLS")
    port = url.port if url else None
    return {"JobsUrl": text, "JobsUrlVersion": secrets.token_hex(6), "JobsPort": str(port or 6379)}
