"""Export and import, between two stores on this machine and through moto's S3."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import bentoml
import pytest

from deploy.archive import SUFFIXES
from tests.conftest import PROJECT
from tests.deploy.cloud import Cloud
from tests.deploy.machines import Machine, assert_refused, copied, packed, write_checksum
from tests.e2e.conftest import serving
from tests.e2e.test_serve import post


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


@pytest.mark.parametrize("content", [b"", b"no checksum", b"\xff" * 64], ids=["empty", "text", "no text"])
def test_a_checksum_that_is_none_is_refused(there: Machine, exported: Path, tmp_path: Path, content: bytes) -> None:
    archive = copied(exported, tmp_path)
    archive.with_name(f"{archive.name}.sha256").write_bytes(content)
    assert_refused(there.run("import", archive), ".sha256 does not begin with a sha256; export it again")


def test_errors_name_their_cause(here: Machine, exported: Path, tmp_path: Path) -> None:
    assert_refused(here.run("export", "credit_risk_classifier:nowhere", tmp_path), "no bento or model", "bentoml list")
    assert_refused(here.run("export", "credit_risk_model:latest", tmp_path / "a.rar"), "has an unknown extension")
    assert_refused(here.run("export", "credit_risk_model:latest", "/dev/null/a.tar"), "can't be written")
    assert_refused(here.run("import", tmp_path / "nothing.bento"), "there is no file")
    without = Path(shutil.copy(exported, tmp_path))
    assert_refused(here.run("import", without), "there is no file", ".sha256")
    assert list(tmp_path.iterdir()) == [without]
