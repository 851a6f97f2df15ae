"""What an operator does to a running service, and what happens to its processes."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import psutil

from credit_risk.contract.policy import load_policy
from tests.conftest import PROJECT
from tests.e2e.callers import posted_anew
from tests.e2e.conftest import Server, serving, workers_of
from tests.e2e.mishaps import (
    change_cutoff,
    hang_up,
    kill,
    kill_worker,
    reload,
    sighup,
    sigterm_to_all,
    sigterm_to_worker,
    workers_in,
)


def policies_of(server: Server) -> set[str]:
    """Give the policies by which the workers decide."""
    answers = posted_anew(server.url, 30)
    assert {status for status, _ in answers} == {200}
    return {decision["policy"] for _, decision in answers}


def test_sigterm_to_all_processes_at_once_loses_no_request() -> None:
    toll = sigterm_to_all()
    assert (toll.lost, toll.notes) == ([], "status 0")


def test_sigterm_to_a_worker_replaces_it_without_a_lost_request() -> None:
    toll = sigterm_to_worker()
    assert (toll.lost, toll.notes) == ([], "2 workers, 1 of them new")


def test_a_killed_worker_is_replaced() -> None:
    assert kill_worker().notes == "2 workers, 1 of them new"


def test_workers_end_with_their_parent_without_a_lost_request() -> None:
    toll = kill()
    assert (toll.lost, toll.notes) == ([], "0 orphans")


def test_under_reload_the_service_comes_back() -> None:
    assert reload().lost == []


def test_sighup_changes_the_policy_in_all_workers_at_once() -> None:
    toll = sighup()
    assert toll.lost == []
    assert toll.notes.endswith("0 told by another than they were made by, 0 by an older one than was known")


def test_a_bad_file_leaves_everything_as_it_was(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    keys = tmp_path / "keys.json"
    shutil.copy(PROJECT / "policy.yaml", policy)
    keys.write_text("{}")
    version = load_policy(policy).version
    with serving(CREDIT_RISK_POLICY=str(policy), CREDIT_RISK_API_KEYS_FILE=str(keys)) as server:
        assert workers_of(server, 2) == 2
        keys.write_text(json.dumps({"bank": sha256(b"token").hexdigest()}))  # good, but not put in force alone
        policy.write_text("cutoffs: [")
        hang_up(server)
        assert policies_of(server) == {version}
        shutil.copy(PROJECT / "policy.yaml", policy)
        change_cutoff(policy, 0.0001)
        hang_up(server)
        assert policies_of(server) == {version}
        lines = [line for line in server.log.read_text().splitlines() if "eloaded" in line]
        for line, fault in zip(
            lines, (f"policy {policy} is not YAML", f"policy {policy} approves nobody"), strict=True
        ):
            assert "Nothing was reloaded, and what was in force stays" in line
            assert fault in line
        assert "Traceback" not in server.log.read_text()


def test_keys_are_reloaded_with_one_line_that_names_them(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"

    def write(**tokens: str) -> None:
        keys.write_text(json.dumps({name: sha256(token.encode()).hexdigest() for name, token in tokens.items()}))

    write(bank="old", shop="shop's")
    with serving(CREDIT_RISK_API_KEYS_FILE=str(keys)) as server:
        assert workers_of(server, 2) == 2

        def statuses(token: str) -> set[int]:
            return {status for status, _ in posted_anew(server.url, 10, Authorization=f"Bearer {token}")}

        assert [statuses(token) for token in ("old", "new", "shop's", "fair's")] == [{200}, {401}, {200}, {401}]
        write(bank="new", fair="fair's")
        hang_up(server)
        assert [statuses(token) for token in ("old", "new", "shop's", "fair's")] == [{401}, {200}, {401}, {200}]
        hang_up(server)
        lines = [
            line.partition("] Reloaded: ")[2] for line in server.log.read_text().splitlines() if "Reloaded" in line
        ]
        assert lines == ["new API keys: fair; changed API keys: bank; removed API keys: shop", "nothing has changed"]


def test_a_successor_has_what_its_predecessor_had(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("policy.yaml", "reasons.yaml", "keys.json")}
    for name in ("policy.yaml", "reasons.yaml"):
        shutil.copy(PROJECT / name, files[name])
    files["keys.json"].write_text("{}")
    version = load_policy(files["policy.yaml"]).version

    def change() -> None:
        change_cutoff(files["policy.yaml"], 0.1)
        files["keys.json"].write_text(json.dumps({"bank": sha256(b"token").hexdigest()}))

    def break_all() -> None:
        for file in files.values():
            file.write_text("no: [")

    def remove_all() -> None:
        for file in files.values():
            file.unlink()

    with serving(
        CREDIT_RISK_POLICY=str(files["policy.yaml"]),
        CREDIT_RISK_REASONS=str(files["reasons.yaml"]),
        CREDIT_RISK_API_KEYS_FILE=str(files["keys.json"]),
    ) as server:
        assert workers_of(server, 2) == 2
        for number, mishap in enumerate((change, break_all, remove_all), 3):
            mishap()
            worker = workers_in(server)[0]
            worker.kill()
            psutil.wait_procs([worker], 20)
            assert workers_of(server, number) == number
            assert policies_of(server) == {version}
