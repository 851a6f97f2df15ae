"""Throughput: this service beside its peers, beside itself with other settings, and beside an earlier version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from bench.experiment import Row, Say, overrides
from bench.load import bodies
from bench.paired import compare_all
from bench.peer import FASTAPI, OURS, PEERS, SHARED_SOCKET, Peer
from credit_risk.serving.settings import PROJECT

CONNECTIONS = (1, 16, 64, 256, 1024)
BATCH_SIZES = (4, 16, 64, 256)
ALL = "reasons and decision log"


def with_environment(peer: Peer, name: str, environment: dict[str, str]) -> Peer:
    return replace(peer, name=name, environment=peer.environment | environment)


def throughput(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Compare this service with its peers by the number of connections."""
    peers = {peer.name: peer for peer in PEERS}
    return compare_all(peers, bodies(folder), connections=CONNECTIONS, slices=slices, seconds=seconds, say=say)


def accountable(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Measure what reasons and the decision log cost, with FastAPI, which has neither, beside them."""
    approving = folder / "policy.yaml"  # nobody is refused, so nobody is owed a reason
    policy = yaml.safe_load((PROJECT / "policy.yaml").read_text())
    policy["cutoffs"] = {"review_above": 0.9999, "decline_above": 0.9999}
    approving.write_text(yaml.safe_dump(policy))
    off = {"CREDIT_RISK_DECISION_LOG": "off"}
    peers = {
        ALL: with_environment(OURS, ALL, {}),
        "reasons": with_environment(OURS, "reasons", off),
        "neither": with_environment(OURS, "neither", off | {"CREDIT_RISK_POLICY": str(approving)}),
        FASTAPI.name: FASTAPI,
    }
    return compare_all(peers, bodies(folder), connections=(64,), slices=slices, seconds=seconds, say=say)


def batching(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Compare this service with itself by the limit of its batches."""
    peers = {"100": OURS, "1 (off)": with_environment(OURS, "off", overrides(batching={"enabled": False}))}
    for size in BATCH_SIZES:
        peers[str(size)] = with_environment(OURS, str(size), overrides(batching={"max_batch_size": size}))
    return compare_all(peers, bodies(folder), connections=(64, 256), slices=slices, seconds=seconds, say=say)


def sockets(folder: Path, *, slices: int, seconds: float, say: Say) -> list[Row]:
    """Compare a listening socket for each worker with one that all workers share."""
    peers = {"a socket for each worker": OURS, "one socket for all": SHARED_SOCKET}
    return compare_all(peers, bodies(folder), connections=(16, 64, 256), slices=slices, seconds=seconds, say=say)


def versions(folder: Path, *, before: Path, slices: int, seconds: float, say: Say) -> list[Row]:
    """Compare this version with another one, which is checked out in the folder `before`."""
    peers = {"this version": OURS, "the version before": replace(OURS, folder=before)}
    return compare_all(peers, bodies(folder), connections=(1, 16, 64, 256), slices=slices, seconds=seconds, say=say)
