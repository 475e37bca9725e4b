"""A worker's word as it is told to other processes: with its secret sealed, to the worker and to where it is.

What has no secret is sealed too, empty: the seal says that one of us heard this worker name these models with this
token. Who writes the database, or Redis, can have requests sent to no address of their own.
"""

from __future__ import annotations

from typing import Final

import msgspec

from keys.ring import BadRing, Purpose
from keys.sealing import Unsealable, Where, open_, seal
from providers.hosts import BadUrl, origin_of
from providers.secrets import Secret
from routing.fleet import Word

_TABLE: Final = "routing.worker"
_encode: Final = msgspec.json.Encoder().encode


class Told(msgspec.Struct, frozen=True):
    """The word in the form that leaves the process."""

    account_id: int
    token_id: str
    url: str
    models: tuple[str, ...]
    capacity: int
    running: int
    queued: int
    leaves: bool
    sealed: bytes = b""


def told(word: Word) -> Told:
    """The same word, fit to be told."""
    said = Told(
        *(word.account_id, word.token_id, word.url, word.models, word.capacity, word.running, word.queued),
        leaves=word.leaves,
    )
    return msgspec.structs.replace(said, sealed=seal(word.secret or Secret(""), _where(said, word.worker_id)))


def heard(said: Told, worker_id: str) -> Word | None:
    """The word that was told as this worker's; None if it was not told by one of us, or if it cannot be seen now: it
    may name a key of the ring that this process lacks while the ring's file cannot be read."""
    try:
        secret = open_(said.sealed, _where(said, worker_id))
    except (Unsealable, BadRing, BadUrl, UnicodeError):
        return None
    word = Word(
        *(said.account_id, said.token_id, said.url, said.models, said.capacity, said.running, said.queued),
        leaves=said.leaves,
        secret=secret or None,
    )
    return word if word.worker_id == worker_id else None


def _where(said: Told, worker_id: str) -> Where:
    whose = _encode((said.account_id, said.token_id, said.url, said.models)).decode()
    return Where(Purpose.CREDENTIAL, _TABLE, worker_id, "secret", origin_of(said.url), whose)
