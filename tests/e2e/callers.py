"""Callers that ask without a pause until they are refused a connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.corpus import SAMPLE


class Outcome(NamedTuple):
    answered: int
    faults: list[str]


@contextmanager
def callers(url: str, *, kept_alive: int, anew: int) -> Iterator[Callable[[], list[Outcome]]]:
    """So many that keep their connection while they may, and so many that open one for each request.

    Gives a function that waits until all of them were refused. The server must be ended within the context.
    """
    with ThreadPoolExecutor(kept_alive + anew) as pool:
        asking = [pool.submit(_ask_until_refused, url, keep) for keep in [True] * kept_alive + [False] * anew]
        yield lambda: [caller.result() for caller in asking]


def _ask_until_refused(url: str, keep: bool) -> Outcome:
    answered, faults = 0, []
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {"Content-Type": "application/json", **({} if keep else {"Connection": "close"})}
    while True:
        try:
            connection.request("POST", "/classify", json.dumps(SAMPLE), headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or "Status" not in json.loads(body):
                faults.append(f"{answer.status}: {body!r}")
            answered += 1
        except ConnectionRefusedError:
            return Outcome(answered, faults)
        except (OSError, http.client.HTTPException) as error:
            faults.append(repr(error))
            connection.close()
            if len(faults) > 100:
                return Outcome(answered, faults)
