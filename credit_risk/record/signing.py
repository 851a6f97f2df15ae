"""The keys that sign the decision log: Ed25519 (RFC 8032), in PEM."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from credit_risk.contract.errors import DataError, SettingError
from credit_risk.record.appearing import appear

PUBLIC_KEYS = "key-*.pem"  # within the folder of the seal
_PRIVATE = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
_PUBLIC = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


class SigningKey:
    """A private key that signs heads."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Load a key. Raises SettingError if there is none, or others may read it."""
        fix = "name the file of another in CREDIT_RISK_DECISION_LOG_KEY; `openssl genpkey -algorithm ed25519` makes one"
        try:
            content, mode = path.read_bytes(), path.stat().st_mode
        except OSError as error:
            raise SettingError(
                f"the key {path} that signs the decision log can't be read: {error.strerror}; {fix}"
            ) from None
        if stat.S_IMODE(mode) & 0o077:
            raise SettingError(
                f"others may read the key {path} that signs the decision log; make it yours alone with chmod 600"
            )
        try:
            key = serialization.load_pem_private_key(content, None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingError(f"{path} holds no key that can sign the decision log; {fix}")
        return cls(key)

    @classmethod
    def load_or_make(cls, path: Path) -> SigningKey:
        """Load a key, and make one first if there is none. Raises SettingError as `load` does, and OSError."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            appear(path, Ed25519PrivateKey.generate().private_bytes(*_PRIVATE))
        return cls.load(path)

    @cached_property
    def fingerprint(self) -> str:
        """The name of its public half."""
        return fingerprint_of(self._key.public_key())

    def sign(self, text: bytes) -> str:
        """Sign a text. Gives the signature in hexadecimal."""
        return self._key.sign(text).hex()

    def publish(self, folder: Path) -> None:
        """Put the public half into a folder, unless it is there. Raises OSError."""
        path = folder / PUBLIC_KEYS.replace("*", self.fingerprint)
        if not path.exists():
            appear(path, self._key.public_key().public_bytes(*_PUBLIC))


class PublicKeys:
    """The public halves of the keys that may have signed a log."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {fingerprint_of(key): key for key in keys}

    @classmethod
    def load(cls, paths: Iterable[Path]) -> PublicKeys:
        """Load keys from PEM files. Raises DataError if one holds no public Ed25519 key."""
        return cls(_public_key(path) for path in paths)

    def __contains__(self, fingerprint: str) -> bool:
        return fingerprint in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def holds(self, fingerprint: str, signature: str, text: bytes) -> bool:
        """Tell whether a signature on a text is that of a key, which is one of these."""
        try:
            self._keys[fingerprint].verify(bytes.fromhex(signature), text)
        except InvalidSignature:
            return False
        return True


def fingerprint_of(key: Ed25519PublicKey) -> str:
    """Name a public key: the first 16 digits of the sha256 of its 32 bytes."""
    return sha256(key.public_bytes(*_RAW)).hexdigest()[:16]


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise DataError(f"the public key {path} can't be read: {error.strerror}") from None
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise DataError(f"{path} holds no public key of a decision log; name the key-*.pem that was beside it")
    return key
