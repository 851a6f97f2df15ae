"""What decisions were made with, archived beside their records, each by its whole sha256.

A record names its policy, its catalogue and its model. The archive keeps their content, so that the decision can be
made again when the service has long had others.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from credit_risk.contract.errors import DataError
from credit_risk.contract.record import ArchivedLine, Kind

FOLDER = "archive"  # within that of the records
_FOLDERS: dict[Kind, str] = {"policy": "policies", "catalogue": "catalogues", "model": "models"}

Files = Mapping[Path, bytes]  # by their paths within a folder; a file alone is "."


class Basis(NamedTuple):
    """What decisions are made with."""

    policy: bytes  # its content
    catalogue: bytes
    model: str  # tag
    model_digest: str  # of all its files
    model_files: Files


class Archive:
    """The archive in a folder. What is there is whole, because it was renamed when it was."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist."""
        self.folder = folder

    def keep(self, basis: Basis) -> None:
        """Archive what is not there yet. Raises OSError if that is impossible, or if something was changed."""
        contents: dict[Kind, bytes] = {"policy": basis.policy, "catalogue": basis.catalogue}
        for kind, content in contents.items():
            _keep(self._folder_of(kind) / f"{sha256(content).hexdigest()}.json", {Path(): content})
        _keep(self.model_at(basis.model_digest), basis.model_files)

    def content_of(self, kind: Kind, name: str) -> bytes | None:
        """Read a policy or a catalogue by its sha256 or its start. Raises DataError if it is not as archived."""
        for path in self._folder_of(kind).glob(f"{name}*.json"):
            try:
                content = path.read_bytes()
            except OSError as error:
                raise DataError(f"{path} can't be read: {error.strerror}") from None
            if sha256(content).hexdigest() != path.stem:
                raise DataError(f"{path} was changed: its sha256 is not its name; restore it")
            return content
        return None

    def model_at(self, digest: str) -> Path:
        """Give the folder of a model, whether it is there or not."""
        return self._folder_of("model") / digest

    def models(self) -> list[Path]:
        """Give the folders of all models."""
        return [path.parent for path in self._folder_of("model").glob("[!.]*/model.yaml")]

    def _folder_of(self, kind: Kind) -> Path:
        return self.folder / _FOLDERS[kind]


def archived_lines(basis: Basis) -> list[bytes]:
    """Make lines for a stream, which has no folder beside it. A model is too large for a line."""
    where = f"in the image or the model store of the service; `make export TAG={basis.model}` writes it to a file"
    lines = [
        ArchivedLine(archive="policy", sha256=sha256(basis.policy).hexdigest(), content=basis.policy.decode()),
        ArchivedLine(archive="catalogue", sha256=sha256(basis.catalogue).hexdigest(), content=basis.catalogue.decode()),
        ArchivedLine(archive="model", sha256=basis.model_digest, tag=basis.model, where=where),
    ]
    return [line.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n" for line in lines]


def _keep(path: Path, files: Files) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as partial:
            _place(files, Path(partial, path.name), path)
    if files_of(path) != files:
        raise OSError(0, f"{path} was changed; remove it, and it is archived anew")


def _place(files: Files, written: Path, path: Path) -> None:
    """Write files or a file, and rename them when they are durable."""
    for name, content in files.items():
        file = written / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        _sync(file)
    for folder in {(written / name).parent for name in files}:
        _sync(folder)
    try:
        written.rename(path)
    except OSError:
        if not path.exists():  # else another process was first
            raise
    _sync(path.parent)


def files_of(path: Path) -> Files:
    """Read a file, or all files of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path): file.read_bytes() for file in files}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
