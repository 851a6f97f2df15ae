"""Locust's users: each asks for a decision once a second, as in the original, and checks the answer.

locust -f users.py --host URL --path PATH --customers FILE ...
"""

from __future__ import annotations

import json
import random
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events, task
from locust.env import Environment

HEADERS = {"content-type": "application/json"}
customers: list[dict[str, Any]] = []  # what each sends, and the right answer
path = ""


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--path", required=True, help="Path of the decisions.")
    parser.add_argument("--customers", required=True, help="A file of requests and their right answers, in JSON.")
    parser.add_argument("--ramp", help="Where the ramp writes its steps, in JSON.")
    parser.add_argument("--first", type=int, default=40, help="Users of the first step of the ramp.")
    parser.add_argument("--most", type=int, default=5000, help="Users at which the ramp ends at the latest.")
    parser.add_argument("--growth", type=float, default=1.3, help="From one step of the ramp to the next.")
    parser.add_argument("--step", type=float, default=8, help="Seconds of a step.")
    parser.add_argument("--bound", type=float, default=250, help="Milliseconds that p95 may take.")


@events.init.add_listener  # type: ignore[untyped-decorator]
def read_customers(environment: Environment, **_: object) -> None:
    global path
    options = environment.parsed_options
    assert options is not None
    path = options.path
    customers.extend(json.loads(Path(options.customers).read_text()))


class Caller(FastHttpUser):
    """Asks once a second, whatever the answer takes, and later only if it takes longer than that."""

    def on_start(self) -> None:
        """Begin at any moment of a second. Users of locust's constant_pacing would all ask at the moment they came."""
        start = random.random()
        self._due = time.monotonic() + start
        time.sleep(start)  # locust has made it gevent's

    def wait_time(self) -> float:
        """Wait until a second after the last request was due."""
        now = time.monotonic()
        self._due = max(self._due + 1, now)
        return self._due - now

    @task
    def ask(self) -> None:
        customer = random.choice(customers)
        # In bytes, whatever locust's types say: text would be sent apart from the head, and wait 40 ms for it.
        body: Any = json.dumps(customer["sent"]).encode()
        with self.client.post(path, data=body, headers=HEADERS, catch_response=True) as reply:
            if reply.status_code != 200:
                reply.failure(f"the status is {reply.status_code}")
            elif not customer["answer"].items() <= reply.json().items():
                reply.failure("the answer is wrong")
