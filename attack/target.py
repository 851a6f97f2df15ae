"""What is attacked: an address, a key if it wants one, and what can be seen of its inside."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from attack.errors import AttackError
from attack.insides import Insides


@dataclass(frozen=True)
class Target:
    """A running service."""

    host: str
    port: int
    key: str | None = None
    insides: Insides = field(default_factory=Insides)

    @property
    def url(self) -> str:
        """The address that a browser would take."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def target_at(url: str, key: str | None, *, anywhere: bool = False) -> Target:
    """Take a service by its address. Raises AttackError unless that is of this machine, or `anywhere` allows it."""
    parts = urlsplit(url)
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise AttackError(f"{url} is no address to attack: give one such as http://localhost:3000")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        raise AttackError(f"{parts.hostname} has no address: check --url") from None
    if not anywhere and not all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found):
        raise AttackError(
            f"{parts.hostname} is not on this machine: add --yes-this-is-mine if the service is yours to attack"
        )
    return Target(parts.hostname, port, key)
