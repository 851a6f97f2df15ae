"""A file of a decision log, as the settings have it."""

from __future__ import annotations

from pathlib import Path

from credit_risk.portfolio.recording import Recording
from credit_risk.record.archive import Basis
from credit_risk.serving.sealing import open_seal
from credit_risk.serving.settings import load_settings


def open_recording(folder: Path, basis: Basis) -> Recording:
    """Begin a file in a folder, sealed and encrypted. `basis` is what decides.

    Raises SettingError if it can't be sealed, and OSError if the folder can't be written to.
    """
    settings = load_settings()
    return Recording(folder, basis, open_seal(settings, str(folder)), encrypts=settings.decision_log_encrypt)
