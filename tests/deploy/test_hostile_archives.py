"""Archives that somebody made to do harm, and files that are none, are refused."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.unpacking import MAX_BYTES, ArchiveError, unpack
from tests.deploy.machines import Machine, assert_refused, packed, tar_of, write_checksum, zip_of


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


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_changed_bit_is_found_wherever_it_is(tmp_path: Path, mode: Any) -> None:
    archive, content = tmp_path / "changed", random.Random(1).randbytes(20_000)
    with tarfile.open(tmp_path / "whole", mode) as tar:
        member = tarfile.TarInfo("model.ubj")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    whole = (tmp_path / "whole").read_bytes()
    unpack(tmp_path / "whole", tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "model.ubj").read_bytes() == content
    for place in range(len(whole) // 20, len(whole) - len(whole) // 20, len(whole) // 40):
        changed = bytearray(whole)
        changed[place] ^= 1
        archive.write_bytes(changed)
        with pytest.raises(ArchiveError, match="is not a readable archive"):
            unpack(archive, tmp_path / f"unpacked-{place}")
