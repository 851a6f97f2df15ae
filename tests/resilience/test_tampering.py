"""Whoever tampers with the log is found, and whoever only suffers is not blamed."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import PROJECT


def test_all_tampering_is_found_and_no_crash_or_full_disk_is_an_alarm() -> None:
    command = [sys.executable, "-m", "tests.record.tampering", "--logs", "48"]
    tampered, suffered = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert tampered.startswith("Seed 1: 48 logs tampered with, 0 of them not found")
    assert suffered.startswith("48 logs that suffered")
    assert suffered.endswith(": 0 false alarms")
