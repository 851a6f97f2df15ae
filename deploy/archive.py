"""`python -m deploy.archive`: move a bento or a model to another machine, as one file with a checksum.

The checksum detects a damaged file. It detects a forged one only if it arrives by another route than the file, or if
nobody else can write to the place where both are kept. So import only from places you trust.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path, PurePosixPath

import bentoml
import click
from bentoml.exceptions import BentoMLException

from credit_risk.contract.errors import ModelError
from credit_risk.model import MODEL_NAME
from credit_risk.model.store import load_model
from deploy.aws import Aws
from deploy.errors import DeployError

OWN_SUFFIXES = {"bento": ".bento", "model": ".bentomodel"}
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".gz", ".tar.xz", ".xz", ".tar.bz2", ".bz2", ".zip")


Item = bentoml.Bento | bentoml.Model


@click.group()
def cli() -> None:
    """Move bentos and models between machines, as files or through s3://BUCKET/KEY."""


@cli.command("export")
@click.argument("tag")
@click.argument("destination")
def export(tag: str, destination: str) -> None:
    """Export the bento or model TAG to DESTINATION.

    DESTINATION is a file, or a folder if it ends in a slash, on this machine or on s3://. The file's extension selects
    the format: .bento or .bentomodel (BentoML's own), .tar, .gz, .xz, .bz2 or .zip. Its sha256 is written beside it. A
    bento includes its model.
    """
    kind, item = _find_item(tag)
    if destination.endswith("/"):
        destination += f"{item.tag.name}-{item.tag.version}{OWN_SUFFIXES[kind]}"
    output_format = _format_of(destination, OWN_SUFFIXES[kind])
    with _open_destination(destination) as archive:
        item.export(str(archive), output_format)
        _checksum_file(archive).write_text(f"{_sha256(archive)}  {destination.rpartition('/')[2]}\n")
    click.echo(f"Exported {item.tag} to {destination}, and its checksum to {destination}.sha256")


@cli.command("import")
@click.argument("source")
def import_(source: str) -> None:
    """Import the bento or model in SOURCE into the store.

    SOURCE is a file on this machine or on s3://, with its sha256 beside it. It is refused if the sha256 does not match.
    """
    with _open_source(source) as archive:
        _verify(archive, source)
        kind = "model" if PurePosixPath("model.yaml") in map(PurePosixPath, _list_paths(archive, source)) else "bento"
        load = bentoml.models.import_model if kind == "model" else bentoml.bentos.import_bento
        try:
            item: Item = load(str(archive), _format_of(source, OWN_SUFFIXES[kind]))
        except (BentoMLException, OSError, ValueError) as error:
            raise DeployError(f"{source} can't be imported: {error}") from None
    if kind == "model" and item.tag.name == MODEL_NAME:
        try:
            load_model(str(item.tag))
        except ModelError as error:
            bentoml.models.delete(item.tag)
            raise DeployError(f"{source} was not imported: {error}") from None
    serve = f"bentoml serve {item.tag}" if kind == "bento" else f"CREDIT_RISK_MODEL={item.tag} bentoml serve"
    click.echo(f"Imported {item.tag}. To serve it, run: {serve}")


def _find_item(tag: str) -> tuple[str, Item]:
    """Find a bento or a model in the store, and say which of the two it is. Raises DeployError if there is none."""
    for kind, get in (("bento", bentoml.bentos.get), ("model", bentoml.models.get)):
        try:
            return kind, get(tag)
        except (BentoMLException, ValueError):
            continue
    raise DeployError(f"there is no bento or model {tag}; list them with `bentoml list` and `bentoml models list`")


def _format_of(name: str, own: str) -> str:
    """Return BentoML's name for a file's format; `own` is the suffix of BentoML's own. Raises DeployError."""
    if name.endswith(own):
        return own[1:]
    if not name.endswith(SUFFIXES):
        raise DeployError(f"{name} has an unknown extension; use one of {own}, {', '.join(SUFFIXES)}")
    return name.rpartition(".")[2].replace("tgz", "gz")


@contextmanager
def _open_destination(destination: str) -> Iterator[Path]:
    """Yield a temporary file to write to, and move it to the destination once it is complete.

    The checksum file is moved first, so that the archive is never there without its checksum.
    """
    with tempfile.TemporaryDirectory(prefix="credit-risk-export-") as folder:
        archive = Path(folder, PurePosixPath(destination).name)
        yield archive
        moves = (_checksum_file(archive), f"{destination}.sha256"), (archive, destination)
        for file, target in moves:
            if destination.startswith("s3://"):
                Aws(None).copy(str(file), target)
            else:
                _put(file, Path(target))


def _put(file: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(file, partial)
        partial.replace(target)
    except OSError as error:
        raise DeployError(f"{target} can't be written: {error.strerror}") from None


@contextmanager
def _open_source(source: str) -> Iterator[Path]:
    """Yield the archive as a local file, with its checksum file beside it."""
    if not source.startswith("s3://"):
        for path in (Path(source), _checksum_file(Path(source))):
            if not path.is_file():
                raise DeployError(f"there is no file {path}; `python -m deploy.archive export` writes it")
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="credit-risk-import-") as folder:
        archive = Path(folder, PurePosixPath(source).name)
        aws = Aws(None)
        aws.copy(source, str(archive))
        aws.copy(f"{source}.sha256", str(_checksum_file(archive)))
        yield archive


def _verify(archive: Path, source: str) -> None:
    """Raise DeployError if the archive does not match its checksum, or has paths outside its own folder."""
    if _checksum_file(archive).read_text().split(" ")[0].strip() != _sha256(archive):
        raise DeployError(f"{source} does not match its checksum, so it is damaged or was changed; export it again")
    for name in _list_paths(archive, source):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise DeployError(f"{source} has a path outside its own folder, unlike BentoML's exports; do not use it")


def _list_paths(archive: Path, source: str) -> list[str]:
    """List the paths in an archive. Raises DeployError if it can't be read, or if it holds links or devices."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                return zipped.namelist()
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError):
        raise DeployError(f"{source} is not a readable archive; export it again") from None
    if not all(member.isfile() or member.isdir() for member in members):
        raise DeployError(f"{source} contains links or devices, unlike BentoML's exports; do not use it")
    return [member.name for member in members]


def _checksum_file(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    cli(prog_name="python -m deploy.archive")
