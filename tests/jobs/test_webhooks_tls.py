"""Messages sent over TLS, to a receiver whose certificate the test has made."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook

from credit_risk.jobs.addresses import Places
from credit_risk.jobs.attempt import Attempt
from credit_risk.jobs.signature import Secret
from credit_risk.jobs.webhooks import authorities, send
from tests.jobs.names import Names
from tests.jobs.receiver import Receiver, answer, receiving

NAME = "hooks.example.com"
WRITTEN = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
LOOPBACK: Places = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with the key and the certificate of NAME, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
    ) | {"encipher_only": False, "decipher_only": False}
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The authorities of this process are read anew, with the certificate among them."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    authorities.cache_clear()
    yield
    authorities.cache_clear()


async def post(url: str) -> Attempt:
    return await send(url, Secret.parse(WRITTEN), "msg_1", b"{}", LOOPBACK)


def sent(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, name: str, see: Callable[[str], None] = lambda _: None
) -> tuple[Attempt, Receiver]:
    """Send once to a name that leads to a receiver here."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.sni_callback = lambda _, asked, __: see(asked)
    Names(monkeypatch, ["127.0.0.1"])

    async def run() -> tuple[Attempt, Receiver]:
        async with receiving(answer(204), tls=tls) as receiver:
            return await post(receiver.url(name, "https")), receiver

    return asyncio.run(run())


@pytest.mark.usefixtures("trusted")
def test_the_name_of_the_url_is_asked_for_and_its_certificate_checked(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    attempt, receiver = sent(monkeypatch, certificate, NAME, names.append)
    assert (attempt.status, attempt.fault) == (204, None)
    assert names == [NAME]
    [request] = receiver.requests
    assert request.headers["host"] == f"{NAME}:{receiver.port}"
    assert Webhook(WRITTEN).verify(request.body, request.headers) == {}


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_name_is_not_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, receiver = sent(monkeypatch, certificate, "other.example.com")
    assert attempt.fault is not None
    assert attempt.fault.startswith("The receiver's certificate is not trusted: Hostname mismatch")
    assert (attempt.final, receiver.requests) == (False, [])


def test_a_certificate_of_nobody_known_is_not_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, receiver = sent(monkeypatch, certificate, NAME)
    assert attempt.fault == "The receiver's certificate is not trusted: self-signed certificate"
    assert (attempt.final, receiver.requests) == (False, [])


def test_a_receiver_without_tls_is_named() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def run() -> Attempt:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            return await post(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    attempt = asyncio.run(run())
    assert attempt.fault == "The receiver does not speak TLS as it should"
    assert not attempt.final
