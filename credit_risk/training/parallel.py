"""Work in several threads: XGBoost and NumPy let others run while they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(number: int, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Apply a function to each item, and give the results in the order of the items."""
    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(function, items))
