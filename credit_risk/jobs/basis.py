"""What decides a job: the model, the policy and the catalogue that were in force when it was made.

They come from the archive in the jobs' folder. So a job is decided by one and the same, whichever worker goes on with
it, and whatever has become of the model store, the policy file and the service by then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from credit_risk.contract.catalogue import Catalogue
from credit_risk.contract.errors import DataError
from credit_risk.contract.policy import Policy
from credit_risk.jobs.job import Basis
from credit_risk.model.recorded import load_recorded
from credit_risk.model.store import StoredModel
from credit_risk.record.archive import Archive

T = TypeVar("T", Policy, Catalogue)


class Loaded(NamedTuple):
    """A basis, ready to decide."""

    model: StoredModel
    policy: Policy
    catalogue: Catalogue


def loader(archive: Archive) -> Callable[[Basis], Loaded]:
    """Make a function that loads a basis, and keeps the last one.

    It raises DataError or ModelError if something is not as it was archived.
    """
    last: tuple[Basis, Loaded] | None = None

    def load(basis: Basis) -> Loaded:
        nonlocal last
        if last is None or last[0] != basis:
            last = basis, _load(archive, basis)
        return last[1]

    return load


def _load(archive: Archive, basis: Basis) -> Loaded:
    model = load_recorded(archive.model_at(basis.model_digest))
    if model.digest != basis.model_digest:
        raise DataError(f"model {basis.model} in {archive.folder} was changed; restore it")
    policy = _read(Policy, archive.content_of("policy", basis.policy), f"policy {basis.policy_version}", archive)
    catalogue = _read(Catalogue, archive.content_of("catalogue", basis.catalogue), "the catalogue", archive)
    return Loaded(model, policy, catalogue)


def _read(kind: type[T], content: bytes | None, name: str, archive: Archive) -> T:
    if content is None:
        raise DataError(f"{name} is not in {archive.folder}; restore it, or send the job again")
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        raise DataError(f"this version can't read {name} in {archive.folder}; send the job again") from None
