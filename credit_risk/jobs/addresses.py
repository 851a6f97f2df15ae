"""Where a callback may go: to public addresses over https, and to what a setting allows besides.

A caller names the URL, and the service calls it from inside: without a check, callers could reach what only the service
should. A name is looked up once, and every address it has is checked; the connection then goes to these and no others,
because the name may have another address a moment later.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, NamedTuple

from pydantic import StringConstraints

Ip = IPv4Address | IPv6Address
# The last label begins with a letter, because resolvers read 127.1, 2130706433 and 0x7f000001 as addresses.
_NAME = r"([a-z0-9_-]{1,63}\.)*[a-z][a-z0-9_-]{0,62}"
Place = IPv4Network | IPv6Network | Annotated[str, StringConstraints(pattern=f"^{_NAME}$", max_length=253)]
Places = tuple[Place, ...]
PLACES_ARE = 'a JSON list of networks, and of host names in lower case, such as ["10.1.0.0/16", "receiver"]'
MOST_CHARACTERS = 2000  # of a URL

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[(?P<ipv6>[0-9a-f]*:[0-9a-f:.]*)\])(:(?P<port>[0-9]{1,5}))?([/?#][!-\[\]-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_PUBLIC_IPV6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_NOT_PUBLIC = tuple(  # besides what `is_global` knows
    map(
        ip_network,
        (
            "192.0.0.0/24",  # for protocols; Python 3.11 knows parts of it
            "192.88.99.0/24",  # 6to4, which leads to the IPv4 address within
            "2002::/16",
            "3fff::/20",  # for documentation
            "168.63.129.16/32",  # a public address that is Azure's host, seen from within a machine
        ),
    )
)


class RefusedError(Exception):
    """A callback may not go there. The message is a sentence for the caller, and does not quote the URL."""


class UnresolvedError(Exception):
    """The name of the host has no address now."""

    def __init__(self) -> None:
        super().__init__("The name of the receiver's host has no address")


class Callback(NamedTuple):
    """The URL of a receiver, and what it says."""

    url: str
    host: str  # in lower case, without brackets
    port: int
    tls: bool

    @classmethod
    def parse(cls, text: str, allowed: Places = ()) -> Callback:
        """Read a URL, and check all that can be checked without looking a name up. Raises RefusedError."""
        found = _URL.fullmatch(text)
        if found is None or len(text) > MOST_CHARACTERS:
            raise RefusedError(
                "The callback URL must be https://HOST:PORT/PATH in ASCII, without a user or a password, and of at "
                f"most {MOST_CHARACTERS} characters"
            )
        tls = found["scheme"].lower() == "https"
        host = (found["ipv6"] or found["host"]).lower()
        callback = cls(text, host, int(found["port"] or (443 if tls else 80)), tls)
        address = _address(host)
        if not 0 < callback.port < 2**16 or (address is None and not _is_name(host)):
            raise RefusedError("The host or the port of the callback URL is not written as they usually are")
        if address is not None:
            _check(callback, [address], allowed)
        elif not tls and not allowed:
            raise RefusedError(_USE_HTTPS)
        return callback


_USE_HTTPS = "The callback URL must begin with https://"


async def resolve(callback: Callback, allowed: Places = ()) -> list[Ip]:
    """Look up where a callback leads, once, and check every address. Raises RefusedError or UnresolvedError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(callback.host, callback.port, type=socket.SOCK_STREAM)
    except OSError:
        raise UnresolvedError from None
    addresses = [ip_address(address[0]) for *_, address in found]
    _check(callback, addresses, allowed)
    return addresses


def _check(callback: Callback, addresses: Sequence[Ip], allowed: Places) -> None:
    if callback.host in allowed or all(_is_allowed(address, allowed) for address in addresses):
        return
    if not callback.tls:
        raise RefusedError(_USE_HTTPS)
    if not all(_is_public(address) or _is_allowed(address, allowed) for address in addresses):
        raise RefusedError("The callback URL leads to an inside address")


def _is_allowed(address: Ip, allowed: Places) -> bool:
    return any(_inner(address) in place for place in allowed if not isinstance(place, str))


def _is_public(address: Ip) -> bool:
    inner = _inner(address)
    if isinstance(inner, IPv6Address) and inner not in _PUBLIC_IPV6:
        return False
    return inner.is_global and not inner.is_multicast and not any(inner in network for network in _NOT_PUBLIC)


def _inner(address: Ip) -> Ip:
    """Give the IPv4 address to which an IPv6 address leads, if it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_name(host: str) -> bool:
    return len(host) <= 253 and re.fullmatch(_NAME, host) is not None


def _address(host: str) -> Ip | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
