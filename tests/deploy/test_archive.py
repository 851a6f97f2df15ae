"""Export and import, between two stores on this machine and through moto's S3."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import bentoml
import pytest

from deploy.archive import SUFFIXES
from deploy.unpacking import MAX_BYTES
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


@pytest.fixture
def model_folder(here: Machine, tmp_path: Path) -> Path:
    """A copy of what the store holds of the model."""
    tag = bentoml.models.get("credit_risk_model:latest").tag
    return shutil.copytree(here.home / "models" / tag.path(), tmp_path / "model")


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
    there: Machine, model_folder: Path, tmp_path: Path
) -> None:
    booster = model_folder / "saved_model.ubj"
    booster.write_bytes(booster.read_bytes() + b" ")
    archive = packed(tmp_path / "model.tar", model_folder)
    assert_refused(there.run("import", archive), "saved_model.ubj (the booster) was changed")
    assert there.stored("models") == set()


def test_a_bento_with_a_model_that_was_changed_is_refused(there: Machine, exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    with tarfile.open(exported) as tar:
        tar.extractall(folder, filter="data")
    [card] = folder.glob("models/*/*/report/model-card.html")
    card.write_text("The best model of all")
    archive = packed(tmp_path / "service.tar", folder)
    assert_refused(there.run("import", archive), "report/model-card.html (the model card) was changed")
    assert there.stored("bentos") == there.stored("models") == set()


def test_a_relative_path_is_relative_to_where_the_command_runs(here: Machine, there: Machine, tmp_path: Path) -> None:
    archive = os.path.relpath(tmp_path / "model.tar.gz", PROJECT)
    assert here.run("export", "credit_risk_model:latest", archive).returncode == 0
    imported = there.run("import", archive)
    assert imported.returncode == 0, imported.stderr
    assert len(there.stored("models")) == 1


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped"])
def test_an_archive_that_would_write_elsewhere_is_refused(there: Machine, tmp_path: Path, name: str) -> None:
    archive = tar_of(tmp_path / "evil.tar", {name: b""})
    assert_refused(there.run("import", archive), "a path outside its own folder")


def test_the_first_bytes_decide_on_the_format(there: Machine, model_folder: Path, tmp_path: Path) -> None:
    good = packed(tmp_path / "good.zip", model_folder)
    evil = tar_of(tmp_path / "evil.zip", {"../escaped": b""})
    evil.write_bytes(evil.read_bytes() + good.read_bytes())
    write_checksum(evil)
    assert zipfile.is_zipfile(evil)
    assert_refused(there.run("import", evil), "a path outside its own folder")
    misnamed = good.rename(tmp_path / "good.tar.xz")
    write_checksum(misnamed)
    assert there.run("import", misnamed).returncode == 0
    assert len(there.stored("models")) == 1


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


def with_a_large_header(archive: Path) -> Path:
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("model.yaml")
        member.pax_headers = {"comment": "0" * MAX_BYTES}
        tar.addfile(member)
    write_checksum(archive)
    return archive


ZEROS = {"model.yaml": b"a: 1", "zeros": bytes(MAX_BYTES)}
TOO_LARGE: dict[str, Callable[[Path], Path]] = {
    "tar": lambda folder: tar_of(folder / "a.tar", ZEROS),
    "gz": lambda folder: tar_of(folder / "a.tar.gz", ZEROS, "w:gz"),
    "bz2": lambda folder: tar_of(folder / "a.tar.bz2", ZEROS, "w:bz2"),
    "xz": lambda folder: tar_of(folder / "a.bentomodel", ZEROS, "w:xz"),
    "zip": lambda folder: zip_of(folder / "a.zip", ZEROS),
    "a header": lambda folder: with_a_large_header(folder / "a.tar.gz"),
    "too many files": lambda folder: tar_of(folder / "a.tar.gz", dict.fromkeys(map(str, range(2001)), b""), "w:gz"),
    "too many in a zip": lambda folder: zip_of(folder / "a.zip", dict.fromkeys(map(str, range(2001)), b"")),
}


@pytest.mark.parametrize("bomb", TOO_LARGE.values(), ids=TOO_LARGE)
def test_an_archive_that_is_too_large_when_unpacked_is_refused(
    there: Machine, tmp_path: Path, bomb: Callable[[Path], Path]
) -> None:
    assert_refused(there.run("import", bomb(tmp_path)), "is larger than 32 MB or 2000 files when unpacked")
    assert there.stored("models") == set()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_an_archive_with_a_link_or_device_is_refused(there: Machine, tmp_path: Path, kind: bytes) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("src")
        member.type, member.linkname = kind, "/etc"
        tar.addfile(member)
    write_checksum(archive)
    assert_refused(there.run("import", archive), "links or devices")


NO_ARCHIVES = {
    "nothing": b"",
    "a text": b"This is no archive.",
    "a zip": b"PK\x03\x04 is how a zip begins",
    "a gzip": b"\x1f\x8b\x08 is how gzip begins",
    "a bzip2": b"BZh is how bzip2 begins",
    "an xz": b"\xfd7zXZ\x00 is how xz begins",
    "a text in gzip": gzip.compress(b"This is no archive."),
}


@pytest.mark.parametrize("content", NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_what_is_no_archive_is_refused(there: Machine, tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "a.bentomodel"
    archive.write_bytes(content)
    write_checksum(archive)
    assert_refused(there.run("import", archive), "is not a readable archive; export it again")


@pytest.mark.parametrize("content", [b"", b"no checksum", b"\xff" * 64], ids=["empty", "text", "no text"])
def test_a_checksum_that_is_none_is_refused(there: Machine, exported: Path, tmp_path: Path, content: bytes) -> None:
    archive = copied(exported, tmp_path)
    archive.with_name(f"{archive.name}.sha256").write_bytes(content)
    assert_refused(there.run("import", archive), ".sha256 does not begin with a sha256; export it again")


LAUGHS = [b"a0: &a0 [ha]", *(b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12))]
HOSTILE = {
    "empty": b"",
    "no mapping": b"- 1",
    "no YAML": b"metadata: [",
    "no text": b"\xff\xfe",
    "code": b"metadata: !!python/object/apply:os.getcwd []",
    "a number that is none": b'metadata: !!int ""',
    "too deep": b"metadata: " + b"[" * 5000,
    "too long": b"a: 1\n" * 100_000,
    "a billion laughs": b"\n".join(LAUGHS),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_yaml_that_bentoml_would_not_write_is_refused(there: Machine, tmp_path: Path, content: bytes) -> None:
    archive = tar_of(tmp_path / "hostile.tar", {"model.yaml": content})
    assert_refused(there.run("import", archive), "has a model.yaml that BentoML did not write; export it again")


@pytest.mark.parametrize("name", ["bento.yaml", "models/a/b/model.yaml"])
def test_hostile_yaml_in_a_bento_is_refused(there: Machine, tmp_path: Path, name: str) -> None:
    archive = tar_of(tmp_path / "hostile.tar", {"bento.yaml": b"a: 1"} | {name: HOSTILE["a billion laughs"]})
    expected = f"has a {Path(name).name} that BentoML did not write; export it again"
    assert_refused(there.run("import", archive), expected)


INCOMPLETE = {
    "no bento": {"README": b"Nothing here"},
    "a bento without a name": {"bento.yaml": b"service: a"},
    "a bento of another kind": {"bento.yaml": b"name: a\nversion: b\nservices: 1\nspec: 2"},
    "a model without a name": {"model.yaml": b"module: a"},
    "a model of another kind": {"model.yaml": b"name: a\nversion: b\nmetadata: 1\nlabels: 2\nsignatures: 3"},
    "a model with a path for a name": {"model.yaml": b"name: ../../a\nversion: b\nmetadata: {}"},
}


@pytest.mark.parametrize("files", INCOMPLETE.values(), ids=INCOMPLETE)
def test_what_is_no_bento_and_no_model_is_refused(there: Machine, tmp_path: Path, files: dict[str, bytes]) -> None:
    assert_refused(there.run("import", tar_of(tmp_path / "a.tar", files)), "a.tar can't be imported: ")
    assert there.stored("bentos") == there.stored("models") == set()


def test_errors_name_their_cause(here: Machine, exported: Path, tmp_path: Path) -> None:
    assert_refused(here.run("export", "credit_risk_classifier:nowhere", tmp_path), "no bento or model", "bentoml list")
    assert_refused(here.run("export", "credit_risk_model:latest", tmp_path / "a.rar"), "has an unknown extension")
    assert_refused(here.run("export", "credit_risk_model:latest", "/dev/null/a.tar"), "can't be written")
    assert_refused(here.run("import", tmp_path / "nothing.bento"), "there is no file")
    without = Path(shutil.copy(exported, tmp_path))
    assert_refused(here.run("import", without), "there is no file", ".sha256")
    assert list(tmp_path.iterdir()) == [without]
