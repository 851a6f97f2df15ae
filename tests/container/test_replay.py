"""The image replays its own decisions, and those that were recorded outside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.container.conftest import Image, running
from tests.corpus import GOOD
from tests.e2e.conftest import serving
from tests.e2e.mishaps import change_cutoff, hang_up
from tests.e2e.test_serve import post

INSIDE = ("--user", "root", "--workdir", "/home/bentoml/bento/src", "-e", "BENTOML_HOME=/home/bentoml/bento")


def replayed(image: Image, log: Path) -> str:
    options = (*INSIDE, "-v", f"{log}:/decisions:ro")
    return image.run("-m", "credit_risk", "replay", "/decisions", entrypoint="python", options=options)


@pytest.mark.parametrize("where", ["the source", "the image"])
def test_what_was_decided_is_decided_again(image: Image, tmp_path: Path, where: str) -> None:
    log = tmp_path / "decisions-1.ndjson"
    if where == "the source":
        with serving(CREDIT_RISK_DECISION_LOG=str(tmp_path / "log")) as server:
            for body in GOOD.values():
                assert post(server.url, body)[0] == 200
        log.write_bytes(b"".join(path.read_bytes() for path in (tmp_path / "log").glob("*.ndjson")))
    else:
        with running(image) as container:
            for body in GOOD.values():
                assert post(container.url, body)[0] == 200
            lines = container.log().splitlines(keepends=True)
        log.write_text("".join(line for line in lines if line.startswith('{"schema"')))
    assert f"{len(GOOD)} decisions, all identical" in replayed(image, tmp_path)


def test_policies_that_the_image_does_not_have_come_from_the_archive(image: Image, tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.yaml", tmp_path / "log"
    shutil.copy(PROJECT / "policy.yaml", policy)
    with serving(CREDIT_RISK_DECISION_LOG=str(log), CREDIT_RISK_POLICY=str(policy)) as server:
        for cutoff in (0.25, 0.1):
            change_cutoff(policy, cutoff)
            hang_up(server)
            for body in GOOD.values():
                assert post(server.url, body)[0] == 200
    assert f"{2 * len(GOOD)} decisions, all identical" in replayed(image, log)
