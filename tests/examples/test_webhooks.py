"""The receiver of examples/webhooks, run as its README says, with messages from the service, a library and curl."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from credit_risk.jobs.signature import Secret
from credit_risk.jobs.webhooks import message, send
from tests.conftest import PROJECT, user_environment
from tests.e2e.conftest import free_port

FOLDER = PROJECT / "examples" / "webhooks"
README = (FOLDER / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
RUN, SEND, *_ = [block for language, block in BLOCKS if language == "sh"]
SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
BODY = message("job.succeeded", 1_800_000_000, {"name": "Zoë"})
EVENT = 'job.succeeded {"name": "Zoë"}\n'


@dataclass
class Receiver:
    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def post(self, headers: dict[str, str], body: bytes = BODY) -> int:
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        return httpx2.post(self.url, content=body, headers=fields).status_code

    def stop(self) -> tuple[str, str]:
        """Give what it has printed."""
        self.process.terminate()
        return self.process.communicate(timeout=30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    *_, command = RUN.splitlines()
    port = free_port()
    assert command.endswith(" 8000")
    process = subprocess.Popen(
        shlex.split(command.replace("8000", str(port))),
        cwd=FOLDER,
        env=user_environment() | {"CREDIT_RISK_WEBHOOK_SECRET": f"{SECRET} {new_secret()}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == f"Receiving on http://127.0.0.1:{port}\n"
    yield Receiver(process, port)
    process.kill()
    process.communicate()


def new_secret() -> str:
    return f"whsec_{base64.b64encode(os.urandom(24)).decode()}"


def signed(at: datetime | None = None, message_id: str = "msg_1", secret: str = SECRET) -> dict[str, str]:
    at = at or datetime.now(UTC)
    return {
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign(message_id, at, BODY.decode()),
    }


def test_it_acts_once_on_each_message_of_the_service(receiver: Receiver) -> None:
    async def run() -> list[int | None]:
        ids = ["msg_1", "msg_1", "msg_2"]
        allowed = (ip_network("127.0.0.0/8"),)
        return [(await send(receiver.url, Secret.parse(SECRET), id_, BODY, allowed)).status for id_ in ids]

    assert asyncio.run(run()) == [204, 204, 204]
    output, errors = receiver.stop()
    assert output == 2 * EVENT
    assert errors == "msg_1 again\n"


def test_it_takes_what_the_reference_library_has_signed(receiver: Receiver) -> None:
    assert receiver.post(signed()) == 204
    with_another = signed(message_id="msg_2")
    with_another["Webhook-Signature"] = f"v1,AAAA v1a,BBBB {with_another['Webhook-Signature']}"
    assert receiver.post(with_another) == 204
    assert receiver.stop()[0] == 2 * EVENT


def test_it_refuses_what_is_not_genuine(receiver: Receiver) -> None:
    genuine = signed()
    for headers in (
        {},
        genuine | {"Webhook-Id": "msg_2"},
        genuine | {"Webhook-Timestamp": str(int(genuine["Webhook-Timestamp"]) + 1)},
        genuine | {"Webhook-Timestamp": "\u0662"},
        genuine | {"Webhook-Signature": ""},
        genuine | {"Webhook-Signature": genuine["Webhook-Signature"].removeprefix("v1,")},
        genuine | {"Webhook-Signature": "v1,\xff"},
        signed(secret=new_secret()),
        {name: value for name, value in genuine.items() if name != "Webhook-Id"},
    ):
        assert receiver.post(headers) == 401
    assert receiver.post(genuine, BODY + b" ") == 401
    assert receiver.stop()[0] == ""


@pytest.mark.parametrize("minutes", [-6, 6])
def test_it_refuses_a_time_far_from_now(receiver: Receiver, minutes: int) -> None:
    assert receiver.post(signed(datetime.now(UTC) + timedelta(minutes=minutes))) == 401
    output, errors = receiver.stop()
    assert (output, errors) == ("", "401: The timestamp is too far from now\n")


def test_others_do_not_keep_it_from_its_messages(receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port)):  # says nothing
        assert receiver.post(signed()) == 204
    for length in ("1000001", "9" * 5000, "-1", "a"):
        with socket.create_connection(("127.0.0.1", receiver.port)) as other:
            other.sendall(f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
            assert other.recv(100).startswith(b"HTTP/1.0 413 ")
    assert receiver.stop()[0] == EVENT


def test_a_message_that_it_fails_to_act_on_is_not_taken(receiver: Receiver) -> None:
    now = datetime.now(UTC)
    headers = signed(now) | {"Webhook-Signature": Webhook(SECRET).sign("msg_1", now, "[]")}
    assert receiver.post(headers, b"[]") == 500
    assert receiver.post(signed()) == 204
    assert receiver.stop()[0] == EVENT


@pytest.mark.parametrize("secret", [None, "", "whsec_123456789!"])
def test_without_a_secret_it_does_not_start(secret: str | None) -> None:
    environment = user_environment() | ({} if secret is None else {"CREDIT_RISK_WEBHOOK_SECRET": secret})
    ended = subprocess.run(
        ["python", "receiver.py"], cwd=FOLDER, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "Set CREDIT_RISK_WEBHOOK_SECRET to the secret that the service has for you.\n"


@pytest.fixture
def tools() -> None:
    missing = [tool for tool in ("bash", "curl", "openssl") if shutil.which(tool) is None]
    if missing and os.environ.get("REQUIRE_CLIENT_RUNTIMES") == "1":
        pytest.fail(f"REQUIRE_CLIENT_RUNTIMES is set, but {' and '.join(missing)} can't be found")
    if missing:
        pytest.skip(f"{' and '.join(missing)} can't be found")


def run(script: str, secret: str) -> str:
    environment = user_environment() | {"CREDIT_RISK_WEBHOOK_SECRET": secret}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.usefixtures("tools")
def test_it_takes_what_curl_sends_and_prints_what_the_readme_shows(receiver: Receiver) -> None:
    script = SEND.replace("8000", str(receiver.port))
    assert " 204 No Content\n" in run(script, SECRET).replace("\r", "")
    assert " 401 " in run(script, new_secret())
    assert [("", receiver.stop()[0])] == [block for block in BLOCKS if block[0] == ""]


@pytest.mark.usefixtures("tools")
def test_the_readme_makes_a_secret_that_the_service_takes() -> None:
    [export] = [line for line in RUN.splitlines() if line.startswith("export ")]
    made = run(f'{export}\nprintf %s "$CREDIT_RISK_WEBHOOK_SECRET"', "")
    assert len(Secret.parse(made).key) == 32
