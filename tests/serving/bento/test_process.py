from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import click
import pytest

from credit_risk.contract.errors import SettingError
from credit_risk.serving.bento.process import check_port
from tests.conftest import PROJECT


def test_a_port_in_use_is_named_with_the_fix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=rf"can't listen on 127.0.0.1, port {port}: .* --port or BENTOML_PORT"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_what_the_command_line_says_comes_before_the_configuration() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = click.Command("serve")
        with click.Context(command) as context:
            context.params = {"host": "127.0.0.1", "port": taken.getsockname()[1]}
            with pytest.raises(SettingError):
                check_port("127.0.0.1", 0)


PARENT = """
import subprocess, sys, time
from credit_risk.serving.bento.process import end_with_a_worker
end_with_a_worker()
workers = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
print(*[worker.pid for worker in workers], flush=True)
time.sleep(60)
"""


def test_the_parent_ends_with_one_of_its_workers() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    lost, left = map(int, parent.stdout.readline().split())
    time.sleep(1.5)  # time for it to be seen alive, and for the parent to end wrongly
    assert parent.poll() is None
    os.kill(lost, signal.SIGKILL)
    try:
        assert parent.wait(20) == -signal.SIGTERM
    finally:
        parent.kill()
        os.kill(left, signal.SIGKILL)
        parent.stdout.close()
