"""Files of applications that a job refers to instead of having been sent: below a folder or an `s3://` address."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import get_args

from pyarrow import fs

from credit_risk.contract.errors import DataError, Detail, InvalidRequestError, UnavailableError
from credit_risk.jobs.files import JobFolder
from credit_risk.jobs.job import InputForm, Job
from credit_risk.jobs.json_array import split_array

S3 = "s3://"
PIECE = 2**20  # bytes


class Sources:
    """Where a caller may refer to."""

    def __init__(self, allowed: Sequence[str]) -> None:
        """`allowed` are folders and `s3://` addresses; what is below them may be read."""
        self._folders = [Path(place).resolve() for place in allowed if not place.startswith(S3)]
        self._addresses = [place.rstrip("/") + "/" for place in allowed if place.startswith(S3)]

    def check(self, reference: str) -> InputForm:
        """Tell of what form the file is. Raises InvalidRequestError if it may not be read, or can't be known."""
        if not self._is_allowed(reference):
            raise _refused("must be below a folder or an s3:// address that CREDIT_RISK_JOBS_SOURCES names")
        form = PurePosixPath(reference).suffix.removeprefix(".")
        if form not in get_args(InputForm):
            raise _refused(f"must end in {', '.join(f'.{form}' for form in get_args(InputForm))}")
        return form  # type: ignore[return-value] # it is one of them

    def file_of(self, job: Job, folder: JobFolder, most_bytes: int) -> Path:
        """Find a job's file, fetched if it is elsewhere.

        Raises DataError if there is none or it is too large, and UnavailableError if its place does not answer.
        """
        path = self._found(job, folder, most_bytes)
        return split_array(path, folder.input("ndjson")) if job.source.form == "json" else path

    def _found(self, job: Job, folder: JobFolder, most_bytes: int) -> Path:
        reference = job.source.reference
        if reference is None:
            return folder.input(job.source.form)
        if not self._is_allowed(reference):  # a symbolic link may have been changed since
            raise DataError(f"{reference} may not be read")
        if reference.startswith(S3):
            return _fetched(reference, folder, folder.input(job.source.form), most_bytes)
        path = Path(reference)
        if not path.is_file():
            raise DataError(f"there is no file {reference}; name one that there is")
        _check_size(path.stat().st_size, most_bytes)
        return path

    def _is_allowed(self, reference: str) -> bool:
        if reference.startswith(S3):
            return ".." not in reference.split("/") and any(map(reference.startswith, self._addresses))
        path = Path(reference)
        return path.is_absolute() and any(path.resolve().is_relative_to(folder) for folder in self._folders)


def _fetched(reference: str, folder: JobFolder, path: Path, most_bytes: int) -> Path:
    if path.exists():  # by an earlier attempt
        return path
    folder.make()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        system, place = fs.FileSystem.from_uri(reference)
        info = system.get_file_info(place)
        if info.type != fs.FileType.File:
            raise DataError(f"there is no file {reference}; name one that there is")
        _check_size(info.size, most_bytes)
        with system.open_input_stream(place) as content, part.open("wb") as file:
            shutil.copyfileobj(content, file, PIECE)
        part.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename is None and part.exists():
            raise  # nothing more can be written here
        raise UnavailableError(f"{reference} can't be read now") from None
    finally:
        part.unlink(missing_ok=True)
    return path


def _check_size(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise DataError(f"the file has {size} bytes, more than the {most_bytes} that a job may have; split it")


def _refused(fix: str) -> InvalidRequestError:
    return InvalidRequestError("1 fault in the job: source", [Detail(loc=["source"], msg=fix, type="source")])
