"""What is personal in a record, encrypted with a key of its own, so that the person can be erased from a sealed log.

Each decision has a fresh AES-256-GCM key. Whoever overwrites the key makes the decision unreadable for ever, while its
line stays as it was written.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from binascii import hexlify
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCRYPTED = b',"encrypted":"'  # as a key: within a record's texts its quotation marks are escaped
NONCE = 12  # bytes ahead of the ciphertext
KEY = 32  # bytes
ID = 36  # characters of a decision's id
NOBODY = b"-" * 32  # in place of the name, for a decision without a reference

_ID_AT = b'"decision_id":"'
_APPLICATION, _MARGIN = b',"application":', b',"margin":'
_ON_FILE, _SCORED_BY, _REFERENCE = b',"on_file":', b',"scored_by":', b',"reference":'


class KeyLine(NamedTuple):
    """A line of a file of keys, `ID NAME KEY`. All have the same width, so that one can be overwritten."""

    decision_id: bytes
    name: bytes  # of the reference
    key: bytes | None  # None if it was erased

    @classmethod
    def parse(cls, line: bytes) -> KeyLine | None:
        """Read a line. None if it is none."""
        if len(line) != WIDTH or not line.endswith(b"\n"):
            return None
        decision_id, name, key = line[:ID].rstrip(), line[NAME_AT : NAME_AT + 32], line[KEY_AT:-1]
        if not key.strip():
            return cls(decision_id, name, None)
        try:
            return cls(decision_id, name, bytes.fromhex(key.decode("ascii")))
        except ValueError:
            return None


NAME_AT = ID + 1
KEY_AT = NAME_AT + 33
WIDTH = KEY_AT + 2 * KEY + 1
BLANK = b" " * (WIDTH - NAME_AT - 1)  # in place of name and key


def name_of(reference: str) -> bytes:
    """Name a reference in a file of keys: by the start of its sha256."""
    return sha256(reference.encode()).hexdigest()[:32].encode()


def encrypt(lines: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    """Encrypt what is personal in records, each a line as it was rendered. Gives the lines of their keys, too."""
    random, size = os.urandom((KEY + NONCE) * len(lines)), KEY + NONCE
    encrypted: list[bytes] = []
    keys: list[bytes] = []
    for number, line in enumerate(lines):
        key, nonce = random[number * size : number * size + KEY], random[number * size + KEY : (number + 1) * size]
        decision_id = id_of(line)
        begin = line.index(_APPLICATION)
        end = line.index(_MARGIN, begin)
        rest, _, reference = line[end:-2].partition(_REFERENCE)
        decided, _, more = rest.partition(_ON_FILE)
        on_file, by, server = more.partition(_SCORED_BY)
        personal = line[begin + 1 : end]
        if on_file:
            personal += _ON_FILE + on_file
        if reference:
            personal += _REFERENCE + reference
        content = b64encode(nonce + AESGCM(key).encrypt(nonce, personal, decision_id))
        encrypted.append(b'%b%b%b"%b%b%b}\n' % (line[:begin], ENCRYPTED, content, decided, by, server))
        name = name_of(json.loads(reference)) if reference else NOBODY
        keys.append(_key_line(decision_id, name, key))
    return encrypted, b"".join(keys)


def encrypt_event(line: bytes, personal: bytes, name: bytes) -> tuple[bytes, bytes]:
    """Encrypt what is personal in an event, members of a JSON object that are not in its line yet.

    `name` is that of the reference of its decision. Gives the line of the key, too.
    """
    key, nonce, decision_id = os.urandom(KEY), os.urandom(NONCE), id_of(line)
    content = b64encode(nonce + AESGCM(key).encrypt(nonce, personal, decision_id))
    return b'%b%b%b"}\n' % (line[:-2], ENCRYPTED, content), _key_line(decision_id, name, key)


def _key_line(decision_id: bytes, name: bytes, key: bytes) -> bytes:
    return b"%b %b %b\n" % (decision_id.ljust(ID), name, hexlify(key))


def decrypt(line: bytes, key: bytes) -> bytes | None:
    """Put what is personal back into an encrypted record. None if this is not its key, or if it was changed."""
    begin, _, rest = line.partition(ENCRYPTED)
    content, _, rest = rest.partition(b'"')
    try:
        bytes_of = b64decode(content, validate=True)
        personal = AESGCM(key).decrypt(bytes_of[:NONCE], bytes_of[NONCE:], id_of(line))
    except (InvalidTag, ValueError):
        return None
    return b"%b,%b%b" % (begin, personal, rest)


def id_of(line: bytes) -> bytes:
    """Read the id of the decision in a record's line."""
    at = line.index(_ID_AT) + len(_ID_AT)
    return line[at : line.index(b'"', at)]
