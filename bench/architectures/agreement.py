"""Before anything is measured: all pieces are up, and all architectures give the same right answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import requests

from bench.architectures.feature_store import Customer
from bench.architectures.pieces import Architecture

ASKED = 100  # customers
AT_ONCE = 10
SECONDS = 30


class DisagreementError(Exception):
    """An architecture is not up, or answers something else than the model."""


def check(architectures: Iterable[Architecture], customers: Sequence[Customer]) -> None:
    """Ask for the health of every piece, and for the decisions of some customers."""
    for architecture in architectures:
        for url in architecture.health_checks:
            if requests.get(url, timeout=SECONDS).status_code != 200:
                raise DisagreementError(f"{architecture.name}: {url} does not answer 200")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            faults = [*filter(None, pool.map(partial(fault_of, architecture), customers[:ASKED]))]
        if faults:
            raise DisagreementError(f"{architecture.name}: {faults[0]}")


def fault_of(architecture: Architecture, customer: Customer) -> str:
    """Ask for one decision. Gives what is wrong with it, or an empty text."""
    reply = requests.post(architecture.url + architecture.path, json=customer.sent, timeout=SECONDS)
    if reply.status_code != 200:
        return f"{customer.name} is answered {reply.status_code}: {reply.text[:300]}"
    if not customer.answer.items() <= reply.json().items():
        return f"{customer.name} is answered {reply.json()}, but the model says {customer.answer}"
    return ""
