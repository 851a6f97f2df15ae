"""Which URLs may be called, in every spelling that leads inside."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from yarl import URL

from credit_risk.jobs.addresses import Callback, Places, RefusedError, UnresolvedError, resolve
from tests.jobs.names import Names

SHAPE = "must be https://HOST:PORT/PATH in ASCII"
SPELLING = "is not written as they usually are"
INSIDE = "leads to an inside address"
HTTPS = "must begin with https://"

INNER = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # metadata
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",  # metadata
    "168.63.129.16",  # metadata
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",  # metadata
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
)
INNER_IPV6 = (
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "64:ff9b:1::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "::ffff:0:8.8.8.8",  # translated
    *(f"::ffff:{address}" for address in INNER),
    *(f"64:ff9b::{address}" for address in INNER),
)
OUTER = ("8.8.8.8", "100.63.255.255", "172.32.0.1", "192.167.255.255", "223.255.255.255")
OUTER_IPV6 = (
    "2001:4860:4860::8888",
    "2a00:1450::1",
    *(f"::ffff:{a}" for a in OUTER),
    *(f"64:ff9b::{a}" for a in OUTER),
)


def places(*texts: str) -> Places:
    return TypeAdapter(Places).validate_python(texts)


def refusal(url: str, *allowed: str) -> str:
    with pytest.raises(RefusedError) as refused:
        Callback.parse(url, places(*allowed))
    return str(refused.value)


def found(url: str, *allowed: str) -> list[str]:
    callback = Callback.parse(url, places(*allowed))
    return [str(address) for address in asyncio.run(resolve(callback, places(*allowed)))]


@pytest.mark.parametrize("address", [*INNER, *(f"[{address}]" for address in INNER_IPV6)])
def test_inside_addresses_are_refused(address: str) -> None:
    assert INSIDE in refusal(f"https://{address}/hook")
    assert HTTPS in refusal(f"http://{address}/hook")


@pytest.mark.parametrize("address", [*OUTER, *(f"[{address}]" for address in OUTER_IPV6)])
def test_public_addresses_are_called_over_https_alone(address: str) -> None:
    assert Callback.parse(f"https://{address}:8443/hook").port == 8443
    assert HTTPS in refusal(f"http://{address}/hook")
    assert HTTPS in refusal(f"http://{address}/hook", "127.0.0.0/8")


@pytest.mark.parametrize("address", [*INNER, *INNER_IPV6])
def test_names_that_lead_inside_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, ["8.8.8.8", address])
    with pytest.raises(RefusedError, match=INSIDE):
        found("https://hooks.example.com/")


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "127.000.000.001",
        "0x7f.0.0.1",
        "0x7f000001",
        "127.0.0.1.",
        "127.0.0.0x1",
        "8.8.8",
        "a..b",
        ".example.com",
        "example.com.",
        f"{'a' * 64}.com",
        "a." * 127 + "com",
        "[:::1]",
        "[1:2]",
        "example.com:0",
        "example.com:65536",
    ],
)
def test_odd_spellings_are_refused(host: str) -> None:
    assert SPELLING in refusal(f"https://{host}/hook")
    assert SPELLING in refusal(f"https://{host}/hook", "0.0.0.0/0", "::/0")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https:///hook",
        "https:example.com",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com:/",
        "https://example.com:80:80/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\\",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://example.com/\r\nHost: inside",
        " https://example.com/",
        "https://exämple.com/",
        "https://\uff11\uff12\uff17.0.0.1/",  # full-width digits
        "https://127。0。0。1/",
        "https://%31%32%37.0.0.1/",
        "https://[fe80::1%25eth0]/",
        "https://[127.0.0.1/",
        "https://[127.0.0.1]/",
        f"https://example.com/{'a' * 2000}",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    assert SHAPE in refusal(url)
    assert SHAPE in refusal(url, "0.0.0.0/0", "::/0")


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("https://example.com", "example.com", 443, True),
        ("HTTPS://Hooks.Example.COM/a/b?c=d&e=%20#f", "hooks.example.com", 443, True),
        ("https://xn--exmple-cua.com:444?a", "xn--exmple-cua.com", 444, True),
        ("http://my_receiver:8000/", "my_receiver", 8000, False),
        ("http://127.0.0.1#a", "127.0.0.1", 80, False),
        ("https://[::1]:8443/", "::1", 8443, True),
    ],
)
def test_a_url_says_where_it_leads(url: str, host: str, port: int, tls: bool) -> None:
    assert Callback.parse(url, places("127.0.0.0/8", "::1")) == Callback(url, host, port, tls)


def test_http_to_a_name_is_refused_at_once_where_nothing_is_allowed() -> None:
    assert HTTPS in refusal("http://hooks.example.com/")
    assert Callback.parse("http://hooks.example.com/", places("10.1.0.0/16")).host == "hooks.example.com"


def test_an_allowed_network_may_be_called_over_http_too(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = ("10.1.0.0/16", "fd00:1::/32")
    for address in ("10.1.2.3", "[::ffff:10.1.2.3]", "[64:ff9b::10.1.2.3]", "[fd00:1::5]"):
        assert Callback.parse(f"http://{address}/", places(*allowed))
        assert Callback.parse(f"https://{address}/", places(*allowed))
    for address in ("10.2.0.1", "127.0.0.1", "[fd00:2::5]"):
        assert INSIDE in refusal(f"https://{address}/", *allowed)
    Names(monkeypatch, ["10.1.2.3", "fd00:1::5"])
    assert found("http://receiver/", *allowed) == ["10.1.2.3", "fd00:1::5"]


def test_a_name_with_an_allowed_and_a_public_address_is_called_over_https_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names(monkeypatch, ["10.1.2.3", "8.8.8.8"])
    assert found("https://receiver/", "10.1.0.0/16") == ["10.1.2.3", "8.8.8.8"]
    with pytest.raises(RefusedError, match=HTTPS):
        found("http://receiver/", "10.1.0.0/16")


def test_an_allowed_host_may_be_called_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["172.18.0.3"])
    assert found("http://Receiver:8000/", "receiver") == ["172.18.0.3"]
    assert names.asked == ["receiver"]
    with pytest.raises(RefusedError, match=HTTPS):
        found("http://receiver.example.com/", "receiver")
    with pytest.raises(RefusedError, match=INSIDE):
        found("https://receiver.example.com/", "receiver")


def test_a_name_without_an_address_may_have_one_later(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, [])
    with pytest.raises(UnresolvedError):
        found("https://hooks.example.com/")


PIECES = (
    *("a", "example.com", "127.0.0.1", "8.8.8.8", "[::1]", "xn--a", "0x7f", "443", "65535"),
    *'[]:/?#@\\%.-_&=~|"<^` \n\0\u2100\uff0e',
)


@settings(max_examples=2000)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join))
def test_aiohttp_reads_the_same_in_a_url_as_the_check(rest: str) -> None:
    try:
        callback = Callback.parse(f"https://{rest}", places("0.0.0.0/0", "::/0"))
    except RefusedError:
        return
    url = URL(callback.url)
    assert (url.raw_host, url.port, url.scheme) == (callback.host, callback.port, "https")
    assert (url.raw_user, url.raw_password) == (None, None)


@pytest.mark.parametrize(
    "place", ["127.0.0.1/8", "10.0.0.0/33", "Receiver", "a b", "*.example.com", "127.1", "", "h:80"]
)
def test_other_places_can_not_be_allowed(place: str) -> None:
    with pytest.raises(ValidationError):
        places(place)
