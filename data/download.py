"""Fetch the public data set that the model's figures are quoted on, and verify that it is the one."""

from __future__ import annotations

import hashlib
import sys
import urllib.error
import urllib.request
from pathlib import Path

URL = "https://raw.githubusercontent.com/gastonstat/CreditScoring/master/CreditScoring.csv"
SHA256 = "b42d4fb62b3c1e3428b295d1f152e71ec79e003f86cfa23d7ddb1fc7ea1f624f"
TARGET = Path(__file__).with_name("CreditScoring.csv")


def main() -> None:
    try:
        with urllib.request.urlopen(URL, timeout=30) as response:
            content = response.read()
    except (urllib.error.URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        sys.exit(f"{URL} can't be reached ({reason}); try again with a network, or train on data/applications.csv")
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"{URL} is not the file that the figures here are quoted on (its sha256 differs); nothing was saved")
    TARGET.write_bytes(content)
    sys.stdout.write(f"Saved {TARGET}\n")


if __name__ == "__main__":
    main()
