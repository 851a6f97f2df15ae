"""A job may refer to a file in S3. moto's server stands in for S3, which can't be reached from here."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from credit_risk.contract.errors import DataError, InvalidRequestError, UnavailableError
from credit_risk.jobs.files import JobFolder
from credit_risk.jobs.job import Job, Source
from credit_risk.jobs.sources import Sources
from tests.e2e.conftest import free_port
from tests.jobs.stores import a_job

CONTENT = b"a,b\n1,2\n"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=log, stderr=log)
    address = f"127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://{address}/moto-api/", timeout=5).close()
            break
        except OSError:
            time.sleep(0.2)
    access = {"access_key": "x", "secret_key": "x", "region": "eu-west-1"}
    system = fs.S3FileSystem(**access, endpoint_override=address, scheme="http")
    request = urllib.request.Request(f"http://{address}/portfolios", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    with system.open_output_stream("portfolios/in/one.csv") as file:
        file.write(CONTENT)
    yield address
    server.terminate()
    server.wait()


@pytest.fixture
def _at(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": f"http://{s3}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


def job_of(reference: str) -> Job:
    return a_job().model_copy(update={"source": Source(form="csv", reference=reference)})


@pytest.mark.usefixtures("_at")
def test_a_file_in_s3_is_fetched_once(tmp_path: Path) -> None:
    sources, folder = Sources(["s3://portfolios/in"]), JobFolder(tmp_path / "job")
    assert sources.check("s3://portfolios/in/one.csv") == "csv"
    path = sources.file_of(job_of("s3://portfolios/in/one.csv"), folder, 100)
    assert path.read_bytes() == CONTENT
    path.write_bytes(b"another attempt finds this")
    assert sources.file_of(job_of("s3://portfolios/in/one.csv"), folder, 100).read_bytes() != CONTENT


@pytest.mark.usefixtures("_at")
@pytest.mark.parametrize(
    ("name", "most", "fault"),
    [("none.csv", 100, "there is no file s3://portfolios/in/none.csv"), ("one.csv", 7, "the file has 8 bytes")],
)
def test_what_can_not_be_fetched_ends_the_job(tmp_path: Path, name: str, most: int, fault: str) -> None:
    folder = JobFolder(tmp_path / "job")
    with pytest.raises(DataError, match=fault):
        Sources(["s3://portfolios/"]).file_of(job_of(f"s3://portfolios/in/{name}"), folder, most)
    assert list(folder.path.iterdir()) == []


def test_an_s3_that_does_not_answer_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UnavailableError, match=r"s3://portfolios/in/one.csv can't be read now"):
        Sources(["s3://portfolios"]).file_of(job_of("s3://portfolios/in/one.csv"), JobFolder(tmp_path / "job"), 100)


@pytest.mark.parametrize(
    "reference",
    ["s3://portfolios/other/a.csv", "s3://portfolios/in/../other/a.csv", "s3://portfolios/inner.csv", "a.csv"],
)
def test_only_what_is_below_a_named_address_may_be_referred_to(reference: str) -> None:
    with pytest.raises(InvalidRequestError, match="source"):
        Sources(["s3://portfolios/in"]).check(reference)
