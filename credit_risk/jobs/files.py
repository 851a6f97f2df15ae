"""The files of jobs: what was sent, the parts of the result, and the result."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from credit_risk.contract.errors import SettingError
from credit_risk.jobs.job import Form, InputForm
from credit_risk.record.archive import Archive

RESULTS: tuple[Form, ...] = ("parquet", "csv", "ndjson")
REJECTS = "rejects.csv"


class JobFolder:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = path / "parts"

    def input(self, form: InputForm) -> Path:
        """Where the applications are."""
        return self.path / f"applications.{form}"

    def part(self, chunk: int, suffix: str) -> Path:
        """Where what came of a chunk is: its decisions, as one of RESULTS, or its faults, as REJECTS."""
        return self.parts / f"{chunk:06}.{suffix}"

    def result(self, form: Form) -> Path:
        """Where the decisions are when the job has succeeded."""
        return self.path / f"decisions.{form}"

    @property
    def rejects(self) -> Path:
        """Where the faults of the refused rows are when the job has ended."""
        return self.path / REJECTS

    def make(self) -> None:
        """Make the folder, for this user alone."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def kept(self) -> int:
        """Sum up the bytes of what is kept when the job has ended."""
        files = [self.rejects, *map(self.result, RESULTS)]
        return sum(file.stat().st_size for file in files if file.exists())

    def remove_input(self) -> None:
        """Remove what nobody needs when the job has ended."""
        shutil.rmtree(self.parts, ignore_errors=True)
        for file in self.path.glob("applications.*"):
            file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all."""
        shutil.rmtree(self.path, ignore_errors=True)


class JobFiles:
    """The folder of all jobs' files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = Archive(folder / "archive")  # of what decides the jobs

    def of(self, job_id: str) -> JobFolder:
        """Find the folder of a job, whether it is there or not."""
        return JobFolder(self.folder / job_id)

    def check(self) -> None:
        """Raise SettingError if the folder can't be written to."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SettingError(
                f"jobs can't be kept in {self.folder}: {error.strerror}; name another folder in CREDIT_RISK_JOBS_FOLDER"
            ) from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise SettingError(
                f"jobs can't be kept in {self.folder}: no permission; name another folder in CREDIT_RISK_JOBS_FOLDER"
            )
