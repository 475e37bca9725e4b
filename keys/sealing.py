"""Envelope encryption: every secret under a key of its own, that key wrapped by the ring's primary (R-SEC-01).

A sealed value opens only where it was sealed: purpose, table, row, field, owner and the origin it may be sent to are
authenticated with it (R-SEC-03, R-SEC-04). Rotation of the ring replaces the wrapping and leaves the rest as it is.

Layout: version | algorithm | length of key id | key id | nonce, wrapped data key | nonce, ciphertext. The wrapping
authenticates everything before it; the ciphertext authenticates the place.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys import ring as rings
from keys.ring import SEALING, Purpose, Ring, UnknownKey
from providers.secrets import Secret

_VERSION: Final = 1
_AES_256_GCM: Final = 1
_NONCE: Final = 12
_TAG: Final = 16
_WRAPPED: Final = _NONCE + rings.KEY_BYTES + _TAG


class Unsealable(Exception):
    """A sealed value cannot be opened here. `reason` is one of the words below; the text holds no secret.

    malformed: not a sealed value. unknown-key: the ring lacks (or has disabled) the key that wrapped it.
    wrong-key: the ring's key of that id is another one, or the wrapping was altered.
    moved: altered, or sealed for another row, field, purpose, owner or origin. mismatch: not the value its row
    describes. no-origin: the account's address lacks a variable.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Where(NamedTuple):
    """The place a secret belongs to. `origin` is `scheme://host:port`, or empty where nothing is sent.

    `owner` says whose it is: of which account, and of which project where it is not shared.
    """

    purpose: Purpose
    table: str
    row: str
    field: str
    origin: str
    owner: str = ""


def seal(secret: Secret, where: Where) -> bytes:
    """Seal a secret for one place, under the ring's primary key."""
    return _seal(secret.reveal().encode(), where)


def open_(sealed: bytes, where: Where) -> Secret:
    """Open what `seal` made for the same place. Raises Unsealable, and never returns anything else."""
    return Secret(_open(sealed, where).decode())


def seal_blob(purpose: Purpose, data: bytes) -> bytes:
    """Seal a file's bytes under a sealing purpose that is not tied to a row."""
    return _seal(data, Where(purpose, "", "", "", ""))


def open_blob(purpose: Purpose, data: bytes) -> bytes:
    """Open what `seal_blob` made for the same purpose. Raises Unsealable."""
    return _open(data, Where(purpose, "", "", "", ""))


def key_id_of(sealed: bytes) -> str:
    """Id of the ring's key that wrapped this value. Raises Unsealable if it is no sealed value."""
    return _split(bytes(sealed))[0]


def rewrap(sealed: bytes, purpose: Purpose = Purpose.CREDENTIAL) -> bytes:
    """The same value wrapped by the ring's primary key; its ciphertext is not touched. Raises Unsealable."""
    sealed = bytes(sealed)
    key_id, header, wrapped, rest = _split(sealed)
    ring = rings.current()
    if key_id == ring.primary:
        return sealed
    return _wrap(ring, purpose, _unwrap(key_id, header, wrapped, purpose)) + rest


def _seal(plain: bytes, where: Where) -> bytes:
    if where.purpose not in SEALING:
        raise ValueError(f"{where.purpose} seals nothing")
    data_key = AESGCM.generate_key(256)
    nonce = os.urandom(_NONCE)
    ciphertext = AESGCM(data_key).encrypt(nonce, plain, _place(where))
    return _wrap(rings.current(), where.purpose, data_key) + nonce + ciphertext


def _open(sealed: bytes, where: Where) -> bytes:
    key_id, header, wrapped, rest = _split(bytes(sealed))
    if where.purpose not in SEALING:
        raise Unsealable("moved", f"nothing is sealed for {where.purpose}")
    data_key = _unwrap(key_id, header, wrapped, where.purpose)
    try:
        return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], _place(where))
    except InvalidTag:
        raise Unsealable("moved", "altered, or sealed for another row, field, purpose, owner or origin") from None


def _wrap(ring: Ring, purpose: Purpose, data_key: bytes) -> bytes:
    key_id = ring.primary.encode()
    header = bytes((_VERSION, _AES_256_GCM, len(key_id))) + key_id
    nonce = os.urandom(_NONCE)
    return header + nonce + AESGCM(ring.derive(purpose)).encrypt(nonce, data_key, header)


def _unwrap(key_id: str, header: bytes, wrapped: bytes, purpose: Purpose) -> bytes:
    try:
        kek = rings.current().derive(purpose, key_id)
    except UnknownKey:
        # The row may be newer than the ring this process has read.
        try:
            kek = rings.reload().derive(purpose, key_id)
        except UnknownKey as error:
            raise Unsealable("unknown-key", str(error)) from None
    try:
        return AESGCM(kek).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], header)
    except InvalidTag:
        raise Unsealable("wrong-key", f"key {key_id} of the ring did not wrap this, or it was altered") from None


def _split(sealed: bytes) -> tuple[str, bytes, bytes, bytes]:
    """Key id, header, nonce + wrapped data key, nonce + ciphertext."""
    if len(sealed) < 3 or sealed[0] != _VERSION or sealed[1] != _AES_256_GCM:
        raise Unsealable("malformed", "not a sealed value of a known version and algorithm")
    end = 3 + sealed[2]
    key_id = sealed[3:end]
    if len(sealed) < end + _WRAPPED + _NONCE + _TAG or not key_id.isascii():
        raise Unsealable("malformed", "cut short")
    return key_id.decode("ascii"), sealed[:end], sealed[end : end + _WRAPPED], sealed[end + _WRAPPED :]


def _place(where: Where) -> bytes:
    """The place in one unambiguous form: each part after its length, so that no two places read the same."""
    parts = (f"jackfield-seal/{_VERSION}/{_AES_256_GCM}", *where)
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (str(part).encode() for part in parts))
