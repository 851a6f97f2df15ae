"""Unpack an archive that came from elsewhere, whatever it holds.

Its first bytes decide on its format, and BentoML sees nothing of it but the folder that it was unpacked to.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

import yaml

# A bento with its model is 1.0 MB in 110 files, and its bento.yaml 18 kB. A model of thirty times as many trees still
# fits. BentoML takes 3 s to read a bento.yaml of 256 kB.
MAX_BYTES = 32 * 2**20
MAX_FILES = 2000
PIECE = 2**20  # bytes
MAX_YAML_BYTES = 256 * 2**10
COMPRESSIONS: dict[bytes, Callable[..., Any]] = {  # by the first bytes
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
# What the libraries raise when a file is not what it begins like.
UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, ValueError, RuntimeError)


class ArchiveError(Exception):
    """Why an archive is refused, to be said after its name."""


class Entry(NamedTuple):
    """A file or folder in an archive. Its content has to be read before the next entry is asked for."""

    name: str
    size: int
    content: IO[bytes] | None  # None for a folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into an empty folder. Raises ArchiveError if it is unlike BentoML's exports."""
    if archive.stat().st_size > MAX_BYTES:
        raise _too_large()
    try:
        _write(_entries_of(archive), folder)
    except UNREADABLE:
        raise ArchiveError("is not a readable archive; export it again") from None
    except OSError as error:
        if error.errno is None:  # bz2 and gzip raise it for what they can't decompress
            raise ArchiveError("is not a readable archive; export it again") from None
        raise ArchiveError(f"can't be unpacked: {error.strerror}") from None
    for path in (*folder.glob("*.yaml"), *folder.glob("models/*/*/model.yaml")):
        _check_yaml(path)


def _entries_of(archive: Path) -> Iterator[Entry]:
    with archive.open("rb") as file:
        head = file.read(6)
    if head.startswith(b"PK"):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                yield Entry(info.filename, info.file_size, None if info.is_dir() else zipped.open(info))
        return
    opener: Callable[..., Any] = next((COMPRESSIONS[magic] for magic in COMPRESSIONS if head.startswith(magic)), open)
    with opener(archive, "rb") as stream:
        bounded = _Bounded(stream)
        with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r|") as tar:
            for member in tar:
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise ArchiveError("contains links or devices, unlike BentoML's exports; do not use it")
                yield Entry(member.name, member.size, tar.extractfile(member))
        while bounded.read(PIECE):  # tarfile stops before the checksum that ends what is compressed
            pass


class _Bounded:
    """Reads at most MAX_BYTES, because the headers of a tar can be as large as its files."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left = stream, MAX_BYTES

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise _too_large()
        return content


def _write(entries: Iterator[Entry], folder: Path) -> None:
    size = 0
    for number, entry in enumerate(entries, 1):
        path = PurePosixPath(entry.name)
        if path.is_absolute() or ".." in path.parts:
            raise ArchiveError("has a path outside its own folder, unlike BentoML's exports; do not use it")
        size += entry.size
        if number > MAX_FILES or size > MAX_BYTES:
            raise _too_large()
        if entry.content is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with entry.content, (folder / path).open("xb") as file:
            shutil.copyfileobj(entry.content, file)


def _check_yaml(path: Path) -> None:
    """Raise ArchiveError for YAML that BentoML could not read, or would read for ever."""
    is_sound = False
    with suppress(Exception):  # PyYAML takes what it reads for well-formed: `!!int ""` is an IndexError
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_YAML_BYTES else ""
        # A few lines of aliases can stand for more than any memory holds. BentoML's exports have none.
        has_aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
        is_sound = not has_aliases and isinstance(yaml.safe_load(text), dict)
    if not is_sound:
        raise ArchiveError(f"has a {path.name} that BentoML did not write; export it again")


def _too_large() -> ArchiveError:
    return ArchiveError(
        f"is larger than {MAX_BYTES // 2**20} MB or {MAX_FILES} files when unpacked, unlike a bento or a model of this "
        "project; do not use it"
    )
