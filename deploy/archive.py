"""`python -m deploy.archive`: move a bento or a model to another machine, as one file with a checksum.

The checksum detects a damaged file. It detects a forged one only if it arrives by another route than the file, or if
nobody else can write to the place where both are kept. So import only from places you trust.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path, PurePosixPath

import bentoml
import click
from bentoml.exceptions import NotFound

from credit_risk.contract.errors import ModelError
from credit_risk.model import CANDIDATE_NAME, MODEL_NAME
from credit_risk.model.store import check_model, describe
from deploy.aws import Aws
from deploy.errors import DeployError
from deploy.unpacking import ArchiveError, unpack

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
    with _open_source(source) as archive, tempfile.TemporaryDirectory(prefix="credit-risk-import-") as folder:
        try:
            _verify(archive, source)
            unpack(archive, Path(folder))
            kind, item = _import_folder(Path(folder))
        except ArchiveError as error:
            raise DeployError(f"{source} {error}") from None
        except ModelError as error:
            raise DeployError(f"{source} was not imported: {error}") from None
        except OSError as error:
            raise DeployError(f"{source} can't be read: {error.strerror}") from None
    serve = f"bentoml serve {item.tag}" if kind == "bento" else f"CREDIT_RISK_MODEL={item.tag} bentoml serve"
    click.echo(f"Imported {item.tag}. To serve it, run: {serve}")


def _import_folder(folder: Path) -> tuple[str, Item]:
    """Import what an archive was unpacked to, and say whether it is a bento or a model.

    Raises ArchiveError, or ModelError about a model of this project that is not what was saved.
    """
    kind = "model" if (folder / "model.yaml").is_file() else "bento"
    models = [folder] if kind == "model" else [path.parent for path in folder.glob("models/*/*/model.yaml")]
    try:
        for model in map(bentoml.Model.from_path, models):
            if model.tag.name in (MODEL_NAME, CANDIDATE_NAME):
                check_model(model)
        load = bentoml.models.import_model if kind == "model" else bentoml.bentos.import_bento
        return kind, load(str(folder), "folder")
    except ModelError:
        raise
    except Exception as error:
        raise ArchiveError(f"can't be imported: {describe(error, 'bento.yaml or model.yaml')}") from None


def _find_item(tag: str) -> tuple[str, Item]:
    """Find a bento or a model in the store, and say which of the two it is. Raises DeployError if there is none."""
    for kind, get in (("bento", bentoml.bentos.get), ("model", bentoml.models.get)):
        try:
            return kind, get(tag)
        except NotFound:
            continue
        except Exception as error:
            raise DeployError(f"{tag} can't be exported: {describe(error, f'{kind}.yaml')}") from None
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
    """Raise DeployError if the archive does not match its checksum."""
    with _checksum_file(archive).open("rb") as file:
        expected = file.read(64)
    if not re.fullmatch(rb"[0-9a-f]{64}", expected):
        raise DeployError(f"{source}.sha256 does not begin with a sha256; export it again")
    if expected.decode() != _sha256(archive):
        raise DeployError(f"{source} does not match its checksum, so it is damaged or was changed; export it again")


def _checksum_file(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    cli(prog_name="python -m deploy.archive")
