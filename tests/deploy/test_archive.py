"""Export and import, between two stores on this machine and through moto's S3."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import bentoml
import pytest

from deploy.archive import SUFFIXES
from tests.conftest import PROJECT, user_environment
from tests.deploy.cloud import Cloud
from tests.e2e.conftest import BENTOML, serving
from tests.e2e.test_serve import post


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


@pytest.fixture(scope="module")
def here(trained: str) -> Machine:  # noqa: ARG001 - the store must be filled
    return Machine(Path(os.environ["BENTOML_HOME"]), {})


@pytest.fixture
def there(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "bentoml", {})


@pytest.fixture(scope="module")
def bento(here: Machine) -> Iterator[str]:
    build = [BENTOML, "build", "--output", "tag"]
    built = subprocess.run(build, cwd=PROJECT, env=user_environment(), capture_output=True, text=True, check=True)
    tag = built.stdout.strip().removeprefix("__tag__:")
    assert tag in here.stored("bentos")
    yield tag
    bentoml.delete(tag)


@pytest.fixture(scope="module")
def exported(here: Machine, bento: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bento as an archive in BentoML's own format."""
    archive = tmp_path_factory.mktemp("exported") / "service.bento"
    assert here.run("export", bento, archive).returncode == 0
    return archive


def copied(archive: Path, folder: Path) -> Path:
    for file in (archive, archive.with_name(f"{archive.name}.sha256")):
        shutil.copy(file, folder)
    return folder / archive.name


def write_checksum(archive: Path) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.with_name(f"{archive.name}.sha256").write_text(f"{digest}  {archive.name}\n")


def assert_refused(result: subprocess.CompletedProcess[str], *expected: str) -> None:
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1
    assert all(text in result.stderr for text in expected), result.stderr


@pytest.mark.parametrize("suffix", [".bento", *SUFFIXES])
def test_a_bento_moves_with_its_model_in_each_format(
    here: Machine, there: Machine, bento: str, suffix: str, tmp_path: Path
) -> None:
    archive = tmp_path / f"service{suffix}"
    assert here.run("export", bento, archive).returncode == 0
    check = ["sha256sum", "-c", f"{archive.name}.sha256"]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    imported = there.run("import", archive)
    assert imported.returncode == 0, imported.stderr
    assert f"bentoml serve {bento}" in imported.stdout
    assert there.stored("bentos") == {bento}
    assert there.stored("models") == {str(bentoml.get(bento).info.all_models[0].tag)}


def test_a_bento_that_was_moved_serves(there: Machine, bento: str, exported: Path, tmp_path: Path) -> None:
    assert there.run("import", exported).returncode == 0
    with serving(bento, folder=tmp_path, BENTOML_HOME=str(there.home)) as server:
        assert post(server.url, b"{}")[0] == 400


def test_a_model_moves(here: Machine, there: Machine, tmp_path: Path) -> None:
    tag = str(bentoml.models.get("credit_risk_model:latest").tag)
    assert here.run("export", tag, f"{tmp_path}/").returncode == 0
    archive = tmp_path / f"{tag.replace(':', '-')}.bentomodel"
    imported = there.run("import", archive)
    assert imported.returncode == 0, imported.stderr
    assert f"CREDIT_RISK_MODEL={tag}" in imported.stdout
    assert there.stored("models") == {tag}
    assert_refused(there.run("import", archive), "already exists")


def test_a_bento_moves_by_s3(cloud: Cloud, here: Machine, there: Machine, bento: str) -> None:
    cloud.client("s3").create_bucket(
        Bucket="releases", CreateBucketConfiguration={"LocationConstraint": cloud.environment["AWS_DEFAULT_REGION"]}
    )
    here, there = (machine._replace(environment=cloud.environment) for machine in (here, there))
    exported = here.run("export", bento, "s3://releases/risk/")
    assert exported.returncode == 0, exported.stderr
    key = f"risk/{bento.replace(':', '-')}.bento"
    listed = cloud.client("s3").list_objects_v2(Bucket="releases")["Contents"]
    assert {entry["Key"] for entry in listed} == {key, f"{key}.sha256"}
    imported = there.run("import", f"s3://releases/{key}")
    assert imported.returncode == 0, imported.stderr
    assert there.stored("bentos") == {bento}
    assert_refused(there.run("import", "s3://releases/nothing.bento"), "does not exist")
    assert_refused(here.run("export", bento, "s3://no-such-bucket/"), "bucket does not exist")


def test_a_changed_archive_is_refused_and_nothing_is_stored(there: Machine, exported: Path, tmp_path: Path) -> None:
    archive = copied(exported, tmp_path)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    assert_refused(there.run("import", archive), "does not match its checksum")
    write_checksum(archive)
    assert_refused(there.run("import", archive), "not a readable archive")
    archive.write_bytes(content[: len(content) // 2])
    write_checksum(archive)
    assert_refused(there.run("import", archive), "not a readable archive")
    assert there.stored("bentos") == there.stored("models") == set()


def test_a_model_that_was_changed_before_it_was_packed_is_refused(
    there: Machine, here: Machine, tmp_path: Path
) -> None:
    archive = tmp_path / "model.tar"
    assert here.run("export", "credit_risk_model:latest", archive).returncode == 0
    folder = tmp_path / "unpacked"
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    booster = folder / "saved_model.ubj"
    booster.write_bytes(booster.read_bytes() + b" ")
    archive.unlink()
    shutil.make_archive(str(archive.with_suffix("")), "tar", folder)
    write_checksum(archive)
    assert_refused(there.run("import", archive), "saved_model.ubj (the booster) was changed")
    assert there.stored("models") == set()


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped"])
def test_an_archive_that_would_write_elsewhere_is_refused(there: Machine, tmp_path: Path, name: str) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo(name)
        tar.addfile(member)
    write_checksum(archive)
    assert_refused(there.run("import", archive), "a path outside its own folder")


def test_an_archive_with_a_link_is_refused(there: Machine, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("src")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(member)
    write_checksum(archive)
    assert_refused(there.run("import", archive), "links or devices")


def test_errors_name_their_cause(here: Machine, exported: Path, tmp_path: Path) -> None:
    assert_refused(here.run("export", "credit_risk_classifier:nowhere", tmp_path), "no bento or model", "bentoml list")
    assert_refused(here.run("export", "credit_risk_model:latest", tmp_path / "a.rar"), "has an unknown extension")
    assert_refused(here.run("export", "credit_risk_model:latest", "/dev/null/a.tar"), "can't be written")
    assert_refused(here.run("import", tmp_path / "nothing.bento"), "there is no file")
    without = Path(shutil.copy(exported, tmp_path))
    assert_refused(here.run("import", without), "there is no file", ".sha256")
    assert list(tmp_path.iterdir()) == [without]
