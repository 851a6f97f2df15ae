"""XGBoost imported without what serving has no use for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_scikit_learn() -> Iterator[None]:
    """Let XGBoost find none: it would take most of a second to load it, for a face that serving has no use for."""
    hidden: dict[str, Any] = {} if "sklearn" in sys.modules else {"sklearn": None}
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
