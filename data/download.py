"""Download the public data set on which the model's published figures were measured, and verify its checksum."""

from __future__ import annotations

import hashlib
import sys
import urllib.error
import urllib.request
from pathlib import Path

if not __package__:  # run as a file, which leaves the project's folder out of the path
    sys.path.insert(0, str(Path(__file__).parents[1]))

from credit_risk.training.data import PUBLIC_FILE

URL = "https://raw.githubusercontent.com/gastonstat/CreditScoring/master/CreditScoring.csv"
TARGET = Path(__file__).with_name("CreditScoring.csv")


def main() -> None:
    try:
        with urllib.request.urlopen(URL, timeout=30) as response:
            content = response.read()
    except (urllib.error.URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        sys.exit(f"{URL} can't be reached ({reason}); connect to the internet, or train on data/applications.csv")
    if hashlib.sha256(content).hexdigest() != PUBLIC_FILE:
        sys.exit(
            f"{URL} is not the expected file (its sha256 differs) and was not saved; train on data/applications.csv"
        )
    TARGET.write_bytes(content)
    sys.stdout.write(f"Saved {TARGET}\n")


if __name__ == "__main__":
    main()
