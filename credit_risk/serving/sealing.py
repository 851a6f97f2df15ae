"""What seals the decision log, as the settings have it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from credit_risk.contract.errors import SettingError
from credit_risk.record.seal import FOLDER, Seal
from credit_risk.record.signing import SigningKey
from credit_risk.record.writer import OFF, STDOUT
from credit_risk.serving.job_settings import home
from credit_risk.serving.log_settings import LogSettings

logger = logging.getLogger("bentoml.credit_risk")
KEY = "decision-log.key"


def open_seal(settings: LogSettings, place: str | None = None) -> Seal | None:
    """Open what seals the log in a place, by default that of the settings. Makes a key if none is named.

    Raises SettingError if that is impossible, or if the key is not right.
    """
    place = place or settings.decision_log
    named = settings.decision_log_key
    if not settings.decision_log_seal or place == OFF or (place == STDOUT and named is None):
        return None
    key = SigningKey.load(named) if named else _own_key(place)
    return Seal(key, settings.decision_log_heads, settings.decision_log_head_seconds)


def warn_of_key(settings: LogSettings) -> None:
    """Log a warning if the key is where whoever can change the log can take it."""
    if settings.decision_log_seal and settings.decision_log not in (OFF, STDOUT) and settings.decision_log_key is None:
        path = _own_path(settings.decision_log)
        if path.parent.name == FOLDER:
            logger.warning(
                "The key that signs the decision log is beside it, in %s: whoever can change the log can sign it anew. "
                "Name a key elsewhere in CREDIT_RISK_DECISION_LOG_KEY",
                path,
            )


def _own_key(place: str) -> SigningKey:
    path = _own_path(place)
    try:
        return SigningKey.load_or_make(path)
    except OSError as error:
        raise SettingError(
            f"the key that signs the decision log can't be made in {path}: {error.strerror}; name the file of one in "
            "CREDIT_RISK_DECISION_LOG_KEY, or set CREDIT_RISK_DECISION_LOG_SEAL=false"
        ) from None


def _own_path(place: str) -> Path:
    path = home() / KEY
    if path.exists() or os.access(home(), os.W_OK | os.X_OK):
        return path
    return Path(place, FOLDER, KEY)
