"""`make data`, with a server on this machine in place of the internet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data import download


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def handler(*arguments: object) -> Quiet:
        return Quiet(*arguments, directory=str(folder))  # type: ignore[arg-type]

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(download, "URL", f"http://127.0.0.1:{server.server_port}/CreditScoring.csv")
        yield
        server.shutdown()


def test_the_public_file_is_saved(real_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TARGET", tmp_path / "saved.csv")
    with served(real_file.parent, monkeypatch):
        download.main()
    assert (tmp_path / "saved.csv").read_bytes() == real_file.read_bytes()


def test_another_file_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "CreditScoring.csv").write_text("Status,Seniority\n")
    monkeypatch.setattr(download, "TARGET", tmp_path / "saved.csv")
    with served(tmp_path, monkeypatch), pytest.raises(SystemExit, match="sha256 differs"):
        download.main()
    assert not (tmp_path / "saved.csv").exists()


def test_without_a_network_it_says_so_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TARGET", tmp_path / "saved.csv")
    monkeypatch.setattr(download, "URL", "http://127.0.0.1:9/CreditScoring.csv")
    with pytest.raises(SystemExit, match=r"can't be reached .*; connect to the internet") as refused:
        download.main()
    assert "\n" not in str(refused.value)
