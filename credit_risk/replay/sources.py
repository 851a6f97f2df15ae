"""Where replay finds what decided: beside the log, in the log itself, or with the service of today."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from credit_risk.contract.catalogue import Catalogue, load_catalogue
from credit_risk.contract.errors import DataError, ModelError
from credit_risk.contract.policy import Policy, load_policy
from credit_risk.contract.record import DecisionRecord, Kind
from credit_risk.model.recorded import find_recorded, load_recorded
from credit_risk.model.store import StoredModel
from credit_risk.record.archive import Archive
from credit_risk.record.reader import Entry, ErasedEntry

BRING = "name the archive that was beside the log with --archive"


class Sources:
    """Finds the model, the policy and the catalogue that a record names."""

    def __init__(
        self, archives: Sequence[Archive], in_log: Mapping[tuple[Kind, str], bytes], policy: Path, catalogue: Path
    ) -> None:
        """`in_log` has what the log itself has told so far; `policy` and `catalogue` are files of the service."""
        self._archives = archives
        self._in_log = in_log
        self._policy_file = policy
        self._catalogue_file = catalogue
        self._policies: dict[str, Policy] = {}
        self._catalogues: dict[str, Mapping[str, str]] = {}
        self._models: dict[tuple[str, str], StoredModel] = {}

    def policy_of(self, entry: Entry | ErasedEntry, fix: str = BRING) -> Policy:
        """Find the policy. Raises DataError, with this fix, if it is nowhere, or if this version can't read it."""
        name = entry.record.policy
        if name not in self._policies:
            self._policies[name] = self._find_policy(name, entry.place, fix)
        return self._policies[name]

    def texts_of(self, entry: Entry | ErasedEntry) -> Mapping[str, str]:
        """Find the texts of reasons, by their codes. Raises DataError if the catalogue is nowhere."""
        name = entry.record.catalogue
        if name not in self._catalogues:
            content = self._content("catalogue", name)
            if content is None and self._own_catalogue.sha256.startswith(name):
                content = self._own_catalogue.content
            if content is None:
                raise self._missing("catalogue", name, entry.place, self._catalogue_file, BRING)
            self._catalogues[name] = json.loads(content)["reasons"]
        return self._catalogues[name]

    def model_of(self, entry: Entry) -> StoredModel:
        """Find the model. Raises ModelError if it is nowhere, or not what was saved."""
        record = entry.record
        key = record.model, record.model_digest or record.model_sha256
        if key not in self._models:
            self._models[key] = self._archived_model(record) or self._stored_model(record, entry.place)
        return self._models[key]

    def _find_policy(self, name: str, place: str, fix: str) -> Policy:
        content = self._content("policy", name)
        if content is not None:
            try:
                return Policy.model_validate_json(content)
            except ValidationError:
                fault = f"{place} was decided by policy {name}, which this version can't read"
                raise DataError(f"{fault}: replay it with the image that decided") from None
        if not self._own_policy.sha256.startswith(name):
            raise self._missing("policy", name, place, self._policy_file, fix)
        return self._own_policy

    def _content(self, kind: Kind, name: str) -> bytes | None:
        found = (archive.content_of(kind, name) for archive in self._archives)
        told = (content for (of, sha256), content in self._in_log.items() if of == kind and sha256.startswith(name))
        return next((content for content in (*found, *told) if content is not None), None)

    def _archived_model(self, record: DecisionRecord) -> StoredModel | None:
        for folder in self._folders_of(record):
            model = load_recorded(folder)
            if record.model_digest is None:
                if (model.tag, model.sha256) == (record.model, record.model_sha256):
                    return model
            elif model.digest == record.model_digest:
                return model
            else:
                raise ModelError(f"{folder} was changed: the model's digest is not its name; restore it")
        return None

    def _folders_of(self, record: DecisionRecord) -> Iterator[Path]:
        for archive in self._archives:
            if record.model_digest is None:
                yield from archive.models()
            elif archive.model_at(record.model_digest).is_dir():
                yield archive.model_at(record.model_digest)

    def _stored_model(self, record: DecisionRecord, place: str) -> StoredModel:
        found = find_recorded(record.model)
        fix = f"it decided {place}: {BRING}, or import it with `make import FROM=FILE`"
        if found is None:
            where = self._where("the BentoML model store")
            raise ModelError(f"there is no model {record.model} in {where}; {fix}")
        if record.model_digest is not None and found.digest != record.model_digest:
            raise ModelError(
                f"model {record.model} in the BentoML model store is another one than that of the same tag with the "
                f"digest {record.model_digest}; {fix}"
            )
        return found

    def _missing(self, kind: Kind, name: str, place: str, file: Path, fix: str) -> DataError:
        return DataError(f"{place} was decided by {kind} {name}, which is not in {self._where(str(file))}: {fix}")

    def _where(self, last: str) -> str:
        return " or ".join([*(str(archive.folder) for archive in self._archives), last])

    @cached_property
    def _own_policy(self) -> Policy:
        return load_policy(self._policy_file)

    @cached_property
    def _own_catalogue(self) -> Catalogue:
        return load_catalogue(self._catalogue_file)
