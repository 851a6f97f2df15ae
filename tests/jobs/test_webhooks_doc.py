"""The examples and figures of docs/webhooks.md."""

from __future__ import annotations

import json
import re

from pydantic import TypeAdapter

from credit_risk.jobs.addresses import Places
from credit_risk.jobs.attempt import FACTOR, FIRST_WAIT, LONGEST_WAIT, PERIOD, Attempt, next_attempt
from credit_risk.jobs.job import Basis, Job, Notification, Source
from credit_risk.jobs.signature import LEAST, MOST, Secret
from credit_risk.jobs.webhooks import TIMEOUT
from credit_risk.serving.http.job_document import document
from tests.conftest import PROJECT

DOC = " ".join((text := (PROJECT / "docs" / "webhooks.md").read_text()).split())
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


def test_the_signature_of_the_example_is_right() -> None:
    [secret] = re.findall(r"`(whsec_[^`]+)`", DOC)
    head, body = BLOCKS["http"].removesuffix("\n").split("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    signature = Secret.parse(secret).sign(headers["webhook-id"], int(headers["webhook-timestamp"]), body.encode())
    assert signature == headers["webhook-signature"]
    assert json.loads(body)["type"] == "job.succeeded"


def test_the_attempts_of_the_example_are_shown_like_that() -> None:
    attempt = Attempt(
        time=1782907203.1,
        seconds=0.042,
        status=503,
        fault="The receiver failed or refused (status 503)",
        retry_after=120,
    )
    job = Job(
        id="019f1d6a-3a53-7c4e-8d0f-2f5f1c9e7a10",
        caller=None,
        created=1782907100,
        source=Source(form="csv"),
        basis=Basis(model="", model_digest="", policy="", policy_version="", catalogue="", release=""),
        rows_at_once=1,
        keep_seconds=0,
        due=0,
        notification=Notification(
            url="https://hooks.example.com/hook", attempts=(attempt,), due=next_attempt([attempt], lambda: 0.5)
        ),
    )
    assert document(job)["callback"] == json.loads(BLOCKS["json"])


def test_the_example_of_the_setting_is_valid() -> None:
    [value] = re.findall(r"CREDIT_RISK_JOBS_CALLBACK_NETWORKS='(.*?)'", DOC)
    assert len(TypeAdapter(Places).validate_json(value)) == 2


def test_the_figures_are_those_of_the_code() -> None:
    for figure in (
        f"may take {TIMEOUT:g} seconds",
        f"after about {FIRST_WAIT:g} seconds, and then waits {'four' if FACTOR == 4 else FACTOR} times as long",
        f"up to {LONGEST_WAIT / 3600:g} hours",
        f"{PERIOD / 3600:g} hours after the first",
        f"the base64 of {LEAST} to {MOST} random bytes",
    ):
        assert figure in DOC, figure
