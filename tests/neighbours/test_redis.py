"""The service with what is on file in a real Redis: outages, passwords, TLS, and one MGET a batch."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.corpus import SAMPLE
from tests.e2e.conftest import free_port, serving
from tests.e2e.test_features import run
from tests.e2e.test_serve import assert_it_refuses_to_start
from tests.neighbours.redis_outages import OUTAGES, outage
from tests.redis_server import Redis, certificate, redis_server

pytestmark = pytest.mark.usefixtures("trained")
SENT = {name: value for name, value in SAMPLE.items() if name != "income"}
ASKED = {"customer": "customer-of-the-test", **SENT}


def load(url: str, folder: Path) -> None:
    file = folder / "customers.ndjson"
    file.write_text(json.dumps({"customer": ASKED["customer"], "income": SAMPLE["income"]}))
    run("features", "load", str(file), "--to", url)


def ask(url: str, application: Any = ASKED) -> httpx2.Response:
    return httpx2.post(f"{url}/classify", json=application, timeout=30)


@pytest.mark.parametrize("name", list(OUTAGES))
def test_an_outage_is_answered_as_the_features_file_says(name: str) -> None:
    found = outage(name)
    assert found.wrong == []
    assert found.unready == 0
    for phase in (found.before, found.after):
        assert {kind: set(counts) for kind, counts in phase.items()} == {kind: {"approved"} for kind in phase}
    assert found.during["refuse"]["503"] > 0
    assert found.during["missing"]["MAYBE without debt"] > 0
    assert set(found.during["stale"]) == {"approved"}
    assert "fails, and is only probed until it is well" in found.log
    assert "is well again" in found.log
    assert "C-1" not in found.log


def test_a_store_that_is_down_at_the_start_may_come_later(tmp_path: Path) -> None:
    port = free_port()
    with serving(CREDIT_RISK_FEATURES=f"redis://127.0.0.1:{port}/0") as server:
        assert "can't be looked up in redis://127.0.0.1" in server.log.read_text()
        refused = ask(server.url)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert ask(server.url, SAMPLE).status_code == 200
        with redis_server() as store:
            store.kill()
            later = Redis(port=port)
            try:
                assert ask(server.url).status_code == 503  # it is empty
                load(later.url, tmp_path)
                deadline = 100
                while ask(server.url).status_code != 200 and deadline:
                    deadline -= 1
                    threading.Event().wait(0.1)
                assert ask(server.url).status_code == 200
            finally:
                later.kill()


def test_a_password_is_needed_and_never_shown(tmp_path: Path) -> None:
    with redis_server("--requirepass", "secret-of-the-test") as store:
        good = store.url.replace("//", "//:secret-of-the-test@")
        for url in (store.url, store.url.replace("//", "//:another-secret@")):
            assert_it_refuses_to_start(
                {"CREDIT_RISK_FEATURES": url}, f"CREDIT_RISK_FEATURES: {store.url} refuses the password; name the right"
            )
        load(good, tmp_path)
        with serving(CREDIT_RISK_FEATURES=good, CREDIT_RISK_DECISION_LOG=str(tmp_path / "decisions")) as server:
            assert ask(server.url).status_code == 200
            assert "secret-of-the-test" not in server.log.read_text()
        records = "".join(file.read_text() for file in (tmp_path / "decisions").glob("*.ndjson"))
        assert "secret-of-the-test" not in records
        assert store.url in records


def test_a_store_with_tls_is_checked(tmp_path: Path) -> None:
    key, signed = certificate(tmp_path)
    port = free_port()
    tls = ("--port", "0", "--tls-port", str(port), "--tls-cert-file", str(signed), "--tls-key-file", str(key))
    with redis_server() as plain:
        plain.kill()
        store = Redis(*tls, "--tls-ca-cert-file", str(signed), "--tls-auth-clients", "no", port=port)
        try:
            secure = f"rediss://127.0.0.1:{port}/0"
            trusted = f"{secure}?ssl_ca_certs={signed}"
            assert_it_refuses_to_start(
                {"CREDIT_RISK_FEATURES": secure},
                f"CREDIT_RISK_FEATURES: {secure} has a certificate that nobody vouches",
            )
            load(trusted, tmp_path)
            with serving(CREDIT_RISK_FEATURES=trusted) as server:
                assert ask(server.url).status_code == 200
            with serving(CREDIT_RISK_FEATURES=f"redis://127.0.0.1:{port}/0") as server:
                assert "if it speaks TLS, write rediss://" in server.log.read_text()
                assert ask(server.url).status_code == 503
        finally:
            store.kill()


@contextmanager
def slowly(port: int, delay: list[float]) -> Iterator[int]:
    """A proxy in front of a port of this machine, which passes on what comes back after `delay[0]` seconds."""
    started, stop = threading.Event(), threading.Event()
    proxy = free_port()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, wait: bool) -> None:
            try:
                while data := await source.read(65536):
                    await asyncio.sleep(delay[0] if wait else 0)
                    sink.write(data)
                    await sink.drain()
            except ConnectionError:
                pass
            finally:
                sink.close()

        await asyncio.gather(
            pass_on(reader, inner_writer, wait=False), pass_on(inner_reader, writer, wait=True), return_exceptions=True
        )

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", proxy):
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert started.wait(10)
        yield proxy
    finally:
        stop.set()
        thread.join()


def test_a_slow_store_is_not_waited_for(tmp_path: Path) -> None:
    delay = [0.0]
    with redis_server() as store, slowly(store.port, delay) as proxy:
        load(store.url, tmp_path)
        with serving(
            CREDIT_RISK_FEATURES=f"redis://127.0.0.1:{proxy}/0",
            CREDIT_RISK_FEATURES_CACHE_SIZE="0",
            CREDIT_RISK_FEATURES_TIMEOUT_MS="1000",
        ) as server:
            assert ask(server.url).status_code == 200
            delay[0] = 5.0
            assert ask(server.url).status_code == 503
            assert ask(server.url, SAMPLE).status_code == 200
            delay[0] = 0.0
            assert any(ask(server.url).status_code == 200 for _ in range(20))


def test_a_batch_is_one_mget(tmp_path: Path) -> None:
    with redis_server() as store:
        load(store.url, tmp_path)
        with serving(
            CREDIT_RISK_WORKERS="1", CREDIT_RISK_FEATURES=store.url, CREDIT_RISK_FEATURES_CACHE_SIZE="0"
        ) as server:
            assert ask(server.url).status_code == 200  # learns the generation
            before = store.calls("mget")
            asked = [{**ASKED, "customer": f"C-{number}", "income": 1.0} for number in range(3)]
            batch = [ASKED, *asked, ASKED]
            answer = httpx2.post(f"{server.url}/classify_batch", json=batch)
            assert (answer.status_code, len(answer.json())) == (200, 5)
            assert store.calls("mget") == before + 1
            for _ in range(5):
                ask(server.url)
            assert store.calls("mget") == before + 6
            ask(server.url, SAMPLE)
            assert store.calls("mget") == before + 6
