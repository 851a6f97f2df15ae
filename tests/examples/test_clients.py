"""The callers of examples/clients, run as their README says, against the service and against a server with a script."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from credit_risk.contract.application import EXAMPLE, CreditApplication
from credit_risk.contract.catalogue import load_catalogue
from tests.conftest import PROJECT, user_environment
from tests.e2e.conftest import Server, free_port, serving
from tests.examples.scripted import DECIDED, Answer, Reset, Scripted, Silence, Step, answering
from tests.records import decision_lines

FOLDER = PROJECT / "examples" / "clients"
README = (FOLDER / "README.md").read_text()
COMMANDS = re.findall(r"^((?:python|node|java|bash) \S+)$", README, re.MULTILINE)
NEEDED = {"python": ("python",), "node": ("node",), "java": ("java", "javac"), "bash": ("bash", "curl")}
TOKEN = "token-1"
ATTEMPTS = 4


class Outcome(NamedTuple):
    status: int
    output: str
    errors: str

    @property
    def request_id(self) -> str:
        return self.errors.splitlines()[0].removeprefix("Request ")


class Client(NamedTuple):
    command: str

    def decide(self, url: str, *arguments: str, token: str = "") -> Outcome:
        """Run the command as it stands in the README."""
        environment = user_environment() | {"CREDIT_RISK_URL": url}
        environment |= {"CREDIT_RISK_TOKEN": token} if token else {}
        ended = subprocess.run(
            [*shlex.split(self.command), *arguments],
            cwd=FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not re.search(r"Traceback|^\s+at ", ended.stderr, re.MULTILINE), ended.stderr
        outcome = Outcome(ended.returncode, ended.stdout, ended.stderr)
        assert str(uuid.UUID(outcome.request_id)) == outcome.request_id
        return outcome


@pytest.fixture(params=COMMANDS)
def client(request: pytest.FixtureRequest) -> Client:
    command: str = request.param
    missing = [tool for tool in NEEDED[command.split()[0]] if shutil.which(tool) is None]
    if missing and os.environ.get("REQUIRE_CLIENT_RUNTIMES") == "1":
        pytest.fail(f"REQUIRE_CLIENT_RUNTIMES is set, but {' and '.join(missing)} can't be found")
    if missing:
        pytest.skip(f"{' and '.join(missing)} can't be found; .ci/client-runtimes installs what the callers need")
    return Client(command)


@pytest.fixture(scope="module")
def decisions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("decisions")


@pytest.fixture(scope="module")
def service(trained: str, decisions: Path) -> Iterator[Server]:  # noqa: ARG001 - the store must be filled
    keys = json.dumps({"branch": sha256(TOKEN.encode()).hexdigest()})
    with serving("--production", CREDIT_RISK_API_KEYS=keys, CREDIT_RISK_DECISION_LOG=str(decisions)) as server:
        yield server


def at_once(client: Client, *scripts: tuple[Step, ...]) -> list[tuple[Outcome, Scripted]]:
    """Let the client meet each script, all at the same time, because it mostly waits."""

    def meet(script: tuple[Step, ...]) -> tuple[Outcome, Scripted]:
        with answering(*script) as server:
            return client.decide(server.url), server

    with ThreadPoolExecutor(len(scripts)) as pool:
        return list(pool.map(meet, scripts))


def assert_decided(outcome: Outcome, server: Scripted) -> None:
    """At the second attempt, and told in full: reasons, but no warnings."""
    assert outcome.status == 0, outcome.errors
    assert outcome.output.splitlines() == [
        "DECLINED, with a probability of default of 0.5506",
        "Reason R05: Adverse payment records",
        "Reason R01: Length of employment",
        "Decision 01a1f939-9556-7021-9edf-6a5007489b5f",
    ]
    assert len(server.attempts) == 2, outcome.errors
    assert_same_request(outcome, server)


def assert_same_request(outcome: Outcome, server: Scripted) -> None:
    """All attempts had the id that was printed, and the same application."""
    sent = {(attempt.request_id, attempt.content_type, attempt.body) for attempt in server.attempts}
    assert sent == {(outcome.request_id, "application/json", (FOLDER / "application.json").read_bytes())}


def test_the_readme_runs_every_caller() -> None:
    sources = {path.name for path in FOLDER.iterdir() if path.suffix not in (".md", ".json", "")}
    assert {command.split()[1] for command in COMMANDS} == sources


def test_the_application_is_the_example_of_the_contract() -> None:
    assert CreditApplication.model_validate_json((FOLDER / "application.json").read_bytes()) == EXAMPLE


def test_a_decision_is_on_record_under_the_id_of_the_request(client: Client, service: Server, decisions: Path) -> None:
    outcome = client.decide(service.url, token=TOKEN)
    assert outcome.status == 0, outcome.errors
    records = [json.loads(line) for line in decision_lines(decisions)]
    [record] = [record for record in records if record["request_id"] == outcome.request_id]
    texts = load_catalogue(PROJECT / "reasons.yaml").reasons
    assert outcome.output.splitlines() == [
        f"{record['status']}, with a probability of default of {round(record['probability_of_default'], 4)}",
        *(f"Reason {reason['code']}: {texts[reason['code']]}" for reason in record["reasons"]),
        f"Decision {record['decision_id']}",
    ]


def test_an_invalid_application_is_refused_with_its_fields(client: Client, service: Server, tmp_path: Path) -> None:
    application = tmp_path / "application.json"
    application.write_text(json.dumps(EXAMPLE.model_dump() | {"home": "Owner", "income": "129"}))
    outcome = client.decide(service.url, str(application), token=TOKEN)
    assert (outcome.status, outcome.output) == (1, "")
    assert outcome.errors.splitlines()[1:] == [
        "The service answered 400 (2 faults in the application: home, income).",
        "- home: must be exactly one of rent, owner, private, ignore, parents, other, unk",
        "- income: must be a number from 0 to 100000, without quotes, or null if it is unknown",
    ]


def test_what_is_no_application_is_refused(client: Client, service: Server, tmp_path: Path) -> None:
    application = tmp_path / "application.json"
    application.write_text("[]")
    outcome = client.decide(service.url, str(application), token=TOKEN)
    assert outcome.status == 1
    assert "- application: send the application as a JSON object" in outcome.errors


@pytest.mark.parametrize("token", ["", "another"])
def test_without_a_valid_token_it_names_the_fix(client: Client, service: Server, token: str) -> None:
    outcome = client.decide(service.url, token=token)
    assert (outcome.status, outcome.output) == (1, "")
    assert "401" in outcome.errors
    assert "Set CREDIT_RISK_TOKEN to a token that the service knows." in outcome.errors


def test_a_file_that_is_not_there_is_named(client: Client) -> None:
    with answering(DECIDED) as server:
        outcome = client.decide(server.url, "nowhere.json")
    assert outcome.status == 1
    assert "nowhere.json" in outcome.errors
    assert server.attempts == []


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_the_service_asks_for(client: Client, status: int) -> None:
    with answering(Answer(status, headers={"Retry-After": "2"}), DECIDED) as server:
        outcome = client.decide(server.url)
    assert_decided(outcome, server)
    first, second = server.attempts
    assert second.arrived - first.answered >= 2
    assert f"The service answered {status} (In other words). Trying again in" in outcome.errors


def test_it_asks_again_with_the_same_id(client: Client) -> None:
    passing = (
        Answer(500),
        Answer(504),
        Answer(502, b"<html>Bad gateway</html>"),  # a proxy's
        Answer(503, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}),
        Reset(),
        Silence(),
    )
    for outcome, server in at_once(client, *((first, DECIDED) for first in passing)):
        assert_decided(outcome, server)


def test_it_gives_up_in_the_end(client: Client) -> None:
    for outcome, server in at_once(client, (Answer(503, headers={"Retry-After": "0"}),), (Reset(),)):
        assert (outcome.status, outcome.output) == (2, ""), outcome.errors
        assert outcome.errors.endswith("Gave up.\n")
        assert len(server.attempts) == ATTEMPTS
        assert_same_request(outcome, server)


def test_it_gives_up_at_once_if_it_would_wait_too_long(client: Client) -> None:
    with answering(Answer(503, headers={"Retry-After": "3600"})) as server:
        outcome = client.decide(server.url)
    assert outcome.status == 2
    assert len(server.attempts) == 1


def test_it_gives_up_where_nobody_listens(client: Client) -> None:
    outcome = client.decide(f"http://127.0.0.1:{free_port()}")
    assert (outcome.status, outcome.output) == (2, "")
    assert outcome.errors.count("The service did not answer") == ATTEMPTS
    assert outcome.errors.count("Trying again") == ATTEMPTS - 1


def test_what_is_refused_for_good_is_not_asked_again(client: Client) -> None:
    moved = Answer(307, headers={"Location": "/elsewhere"})
    refusals = [moved, *(Answer(status) for status in (404, 408, 413, 431))]
    met = at_once(client, *((refusal, DECIDED) for refusal in refusals))
    for refusal, (outcome, server) in zip(refusals, met, strict=True):
        assert (outcome.status, outcome.output) == (1, "")
        assert outcome.errors.splitlines()[1:] == [f"The service answered {refusal.status} (In other words)."]
        assert len(server.attempts) == 1


def test_a_refusal_in_other_words_is_a_sentence_too(client: Client) -> None:
    with answering(Answer(400, b"Invalid HTTP request received.")) as server:
        outcome = client.decide(server.url)
    assert outcome.status == 1
    assert re.fullmatch(r"The service answered 400[A-Za-z ]*\.", outcome.errors.splitlines()[1])
