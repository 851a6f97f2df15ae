"""Machines with stores of their own, and the archives that move between them."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from tests.conftest import PROJECT, user_environment


class Machine(NamedTuple):
    """A machine with its own store."""

    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str | Path, module: str = "deploy.archive") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        environment = user_environment() | self.environment | {"BENTOML_HOME": str(self.home)}
        return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)

    def stored(self, kind: str) -> set[str]:
        return {f"{path.parent.name}:{path.name}" for path in self.home.glob(f"{kind}/*/*") if path.is_dir()}


def copied(archive: Path, folder: Path) -> Path:
    for file in (archive, archive.with_name(f"{archive.name}.sha256")):
        shutil.copy(file, folder)
    return folder / archive.name


def write_checksum(archive: Path) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.with_name(f"{archive.name}.sha256").write_text(f"{digest}  {archive.name}\n")


def packed(archive: Path, folder: Path) -> Path:
    """Make an archive of a folder, with its checksum."""
    shutil.make_archive(str(archive.with_suffix("")), archive.suffix[1:], folder)
    write_checksum(archive)
    return archive


def assert_refused(result: subprocess.CompletedProcess[str], *expected: str) -> None:
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1
    assert all(text in result.stderr for text in expected), result.stderr


def tar_of(archive: Path, files: Mapping[str, bytes], mode: Literal["w", "w:gz", "w:bz2", "w:xz"] = "w") -> Path:
    """Make a tar, with its checksum."""
    with tarfile.open(archive, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    write_checksum(archive)
    return archive


def zip_of(archive: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    write_checksum(archive)
    return archive
