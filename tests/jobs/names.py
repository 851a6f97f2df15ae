"""The names that the operating system knows, replaced where every look-up of this process must come by."""

from __future__ import annotations

import socket
from typing import Any

import pytest


class Names:
    """Stands in for socket.getaddrinfo, and notes which names were asked for.

    Each look-up takes the next of the answers, and the last one again for ever.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.asked: list[str] = []

        def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            self.asked.append(host)
            addresses = answers[min(len(self.asked), len(answers)) - 1]
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
                if ":" in address
                else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
