"""Folders of files, on a disk that all workers share or in S3. What is written is complete or absent."""

from __future__ import annotations

import os
import shutil
import uuid
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow.fs as pafs

from credit_risk.contract.errors import DataError
from credit_risk.portfolio.blocks import SUFFIXES, Input
from credit_risk.portfolio.remote import S3, RemoteFile, remote_file
from credit_risk.portfolio.writer import Output, RemoteSink

DONE = "_SUCCESS"  # the marker that Hadoop, Spark and others use


class Part(NamedTuple):
    """A file of a folder, which one worker decides."""

    number: int
    name: str  # within the folder
    file: Input


class Target(AbstractContextManager[Any], ABC):
    """A folder that is written. It takes its place at the end, if `whole` was set by then."""

    whole = False

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.whole and kind is None:
                self._keep()
        finally:
            self._discard()

    @abstractmethod
    def open(self, name: str) -> Output:
        """Open a file in it, which replaces an earlier one of that name when it is whole. Any process may."""

    @abstractmethod
    def _keep(self) -> None: ...

    @abstractmethod
    def _discard(self) -> None: ...


def parts_of(address: str) -> list[Part]:
    """List the files of a folder, and of folders in it, in the order of their names; or give the one file.

    Names that begin with a dot or an underscore are left out, as elsewhere. Raises DataError if kinds differ.
    """
    try:
        found = _remote_files(remote_file(address)) if address.startswith(S3) else _files(Path(address))
    except OSError as error:
        raise DataError(f"{address} can't be read: {_reason(error)}; name a folder that can") from None
    named = sorted((name, file) for name, file in found if not any(p[0] in "._" for p in PurePosixPath(name).parts))
    kinds = sorted({file.suffix for _, file in named})
    if len(kinds) != 1 or kinds[0] not in SUFFIXES:
        holds = f"holds files of the kinds {', '.join(kind or 'none' for kind in kinds)}" if kinds else "holds no file"
        raise DataError(f"{address} {holds}; name a folder of files that all end in one of {', '.join(SUFFIXES)}")
    return [Part(number, name, file) for number, (name, file) in enumerate(named)]


def target_at(address: str) -> Target:
    """Begin to write a folder. Raises DataError if there is something already, or nothing can be written."""
    try:
        return _RemoteTarget(remote_file(address)) if address.startswith(S3) else _LocalTarget(Path(address))
    except OSError as error:
        raise DataError(f"{address} can't be written: {_reason(error)}; name a folder that can") from None


class _LocalTarget(Target):
    """Is written beside its place, and renamed at the end."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise DataError(f"{path} is there already; remove it, or name another")
        self._path, self._part = path, path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part").absolute()
        self._part.mkdir()

    def open(self, name: str) -> Output:
        return Output(self._part / name)

    def _keep(self) -> None:
        for left in self._part.glob(".*"):  # by workers that died
            left.unlink()
        (self._part / DONE).touch()
        os.rename(self._part, self._path)

    def _discard(self) -> None:
        shutil.rmtree(self._part, ignore_errors=True)


class _RemoteTarget(Target):
    """Is written in its place, where no folder can be renamed: it is complete when the marker is there."""

    def __init__(self, place: RemoteFile) -> None:
        self._place = place
        self._is_kept = False
        if _listed(place):
            raise DataError(f"{place} is there already; remove it, or name another")

    def open(self, name: str) -> Output:
        return Output(RemoteSink(self._file(name)))

    def _keep(self) -> None:
        self._place.filesystem.open_output_stream(self._file(DONE).path).close()
        self._is_kept = True

    def _discard(self) -> None:
        if not self._is_kept:
            with suppress(OSError):
                self._place.filesystem.delete_dir_contents(self._place.path, missing_dir_ok=True)

    def _file(self, name: str) -> RemoteFile:
        return RemoteFile(self._place.filesystem, f"{self._place.path}/{name}")


def _files(path: Path) -> list[tuple[str, Input]]:
    if path.is_dir():
        return [(str(file.relative_to(path)), file.absolute()) for file in path.rglob("*") if file.is_file()]
    path.stat()
    return [(path.name, path.absolute())]


def _remote_files(place: RemoteFile) -> list[tuple[str, Input]]:
    [itself] = place.filesystem.get_file_info([place.path])
    if itself.type == pafs.FileType.File:
        return [(itself.base_name, place._replace(size=itself.size))]
    files = [found for found in _listed(place) if found.type == pafs.FileType.File]
    return [
        (found.path.removeprefix(f"{place.path}/"), RemoteFile(place.filesystem, found.path, found.size))
        for found in files
    ]


def _listed(place: RemoteFile) -> list[pafs.FileInfo]:
    selector = pafs.FileSelector(place.path, recursive=True, allow_not_found=True)
    found: list[pafs.FileInfo] = place.filesystem.get_file_info(selector)
    return found


def _reason(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split())
