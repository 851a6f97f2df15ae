"""`python -m deploy.archive`: move a bento or a model to another machine, as one file with its checksum.

The checksum tells a broken file from a whole one. It tells a forged file only if it comes by another way than the file,
or from a place that others can't write to; so where an archive is imported from must be trusted.
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
    """Move bentos and models between machines: to a folder, or to and from s3://BUCKET/KEY."""


@cli.command("export")
@click.argument("tag")
@click.argument("destination")
def export(tag: str, destination: str) -> None:
    """Write the bento or model TAG to DESTINATION, with its sha256 beside it.

    DESTINATION is a file, or a folder with a slash at its end, here or on s3://. The name of the file says the format:
    .bento or .bentomodel (BentoML's own), .tar, .gz, .xz, .bz2 or .zip. A bento takes its model along.
    """
    kind, item = _found(tag)
    if destination.endswith("/"):
        destination += f"{item.tag.name}-{item.tag.version}{OWN_SUFFIXES[kind]}"
    output_format = _format(destination, OWN_SUFFIXES[kind])
    with _to(destination) as archive:
        item.export(str(archive), output_format)
        _checksum_file(archive).write_text(f"{_sha256(archive)}  {destination.rpartition('/')[2]}\n")
    click.echo(f"{item.tag} is in {destination}, its checksum in {destination}.sha256")


@cli.command("import")
@click.argument("source")
def import_(source: str) -> None:
    """Put the bento or model in the file SOURCE, here or on s3://, into the store, if its checksum is right."""
    with _from(source) as archive:
        _verify(archive, source)
        kind = "model" if PurePosixPath("model.yaml") in map(PurePosixPath, _names(archive, source)) else "bento"
        load = bentoml.models.import_model if kind == "model" else bentoml.bentos.import_bento
        try:
            item: Item = load(str(archive), _format(source, OWN_SUFFIXES[kind]))
        except (BentoMLException, OSError, ValueError) as error:
            raise DeployError(f"{source} can't be imported: {error}") from None
    if kind == "model" and item.tag.name == MODEL_NAME:
        try:
            load_model(str(item.tag))
        except ModelError as error:
            bentoml.models.delete(item.tag)
            raise DeployError(f"{source} was not imported: {error}") from None
    serve = f"bentoml serve {item.tag}" if kind == "bento" else f"CREDIT_RISK_MODEL={item.tag} bentoml serve"
    click.echo(f"{item.tag} is in the store. Serve it: {serve}")


def _found(tag: str) -> tuple[str, Item]:
    for kind, get in (("bento", bentoml.bentos.get), ("model", bentoml.models.get)):
        try:
            return kind, get(tag)
        except (BentoMLException, ValueError):
            continue
    raise DeployError(f"there is no bento and no model {tag}; `bentoml list` and `bentoml models list` show them")


def _format(name: str, own: str) -> str:
    """BentoML's word for the format of a file of this name."""
    if name.endswith(own):
        return own[1:]
    if not name.endswith(SUFFIXES):
        raise DeployError(f"{name} is of no format that is known: let it end in {own}, {', '.join(SUFFIXES)}")
    return name.rpartition(".")[2].replace("tgz", "gz")


@contextmanager
def _to(destination: str) -> Iterator[Path]:
    """A file to write; it appears at the destination when it is whole, its checksum file first."""
    with tempfile.TemporaryDirectory(prefix="credit-risk-export-") as folder:
        archive = Path(folder, PurePosixPath(destination).name)
        yield archive
        moved = (_checksum_file(archive), f"{destination}.sha256"), (archive, destination)
        for file, target in moved:
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
def _from(source: str) -> Iterator[Path]:
    """The archive at the source as a file, with its checksum file beside it."""
    if not source.startswith("s3://"):
        for path in (Path(source), _checksum_file(Path(source))):
            if not path.is_file():
                raise DeployError(f"there is no file {path}; `python -m deploy.archive export` makes both")
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="credit-risk-import-") as folder:
        archive = Path(folder, PurePosixPath(source).name)
        aws = Aws(None)
        aws.copy(source, str(archive))
        aws.copy(f"{source}.sha256", str(_checksum_file(archive)))
        yield archive


def _verify(archive: Path, source: str) -> None:
    """Raises DeployError where the archive is not what its checksum says, or would write outside of its folder."""
    if _checksum_file(archive).read_text().split(" ")[0].strip() != _sha256(archive):
        raise DeployError(f"{source} is not what its checksum says: it is broken or was changed; export it anew")
    for name in _names(archive, source):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise DeployError(f"{source} holds a file that would land outside of its folder: no export of BentoML does")


def _names(archive: Path, source: str) -> list[str]:
    """The files in an archive. Raises DeployError where it is none, or holds anything but files and folders."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                return zipped.namelist()
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError):
        raise DeployError(f"{source} is not an archive that can be read") from None
    if not all(member.isfile() or member.isdir() for member in members):
        raise DeployError(f"{source} holds links or devices: no export of BentoML does")
    return [member.name for member in members]


def _checksum_file(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    cli(prog_name="python -m deploy.archive")
