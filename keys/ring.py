"""The ring of master keys: one private file from which every key of Jackfield is derived (R-SEC-02, R-SEC-05).

The file is JSON: {"version": 1, "root": {...}, "keys": [{"id", "secret", "state", "created"}, ...]}, a secret being 32
random bytes in base64. `keys` wrap what is sealed and are rotated. `root` makes MACs (tokens, rows, fingerprints) and
is not: a token's plaintext is known to its holder only, so its MAC cannot be made anew.
See docs/decisions/the-ring.md.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import itertools
import json
import logging
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NoReturn, final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.signals import setting_changed

log = logging.getLogger(__name__)

KEY_BYTES: Final = 32
_MAX_FILE: Final = 256 * 1024
_KEY_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
#: What people hash when they should draw random bytes. The bare words are caught as printable text.
_WORDS: Final = ("", "a", "abc", "admin", "changeme", "default", "jackfield", "key", "password", "secret", "test")
_KNOWN: Final = frozenset(hashlib.sha256(word.encode()).digest() for word in _WORDS)


class BadRing(Exception):
    """The ring file cannot be used. The text says why and what to do, and holds no key."""


class UnknownKey(Exception):
    """No key of that id in the ring, or it is disabled."""


class Purpose(StrEnum):
    """What a derived key is for. One label each: what was made for one is worthless for every other (R-SEC-02)."""

    CREDENTIAL = "cred-kek"
    SNAPSHOT = "snapshot-kek"
    RESPONSE = "response-kek"
    TOKEN = "token-mac"  # noqa: S105 - a label, not a token
    ROW = "row-mac"
    AUDIT = "audit-mac"
    CURSOR = "cursor-mac"
    FINGERPRINT = "fingerprint-mac"
    ITEM = "item-mac"


#: Purposes whose key comes from a rotating key; the others come from the root.
SEALING: Final = frozenset({Purpose.CREDENTIAL, Purpose.SNAPSHOT, Purpose.RESPONSE})


class State(StrEnum):
    """added: known everywhere before it is used; primary: seals; decrypt-only: opens; disabled: does nothing."""

    ADDED = "added"
    PRIMARY = "primary"
    DECRYPT_ONLY = "decrypt-only"
    DISABLED = "disabled"


@final
class Ring:
    """A ring that passed every check. It shows ids and states; keys come out derived, by purpose."""

    __slots__ = ("_created", "_derived", "_root", "_secrets", "_states", "primary", "row_key", "token_key")

    def __init__(self, document: object) -> None:
        """Check the parsed file. Raises BadRing."""
        if not isinstance(document, dict) or document.get("version") != 1 or not isinstance(document.get("keys"), list):
            raise BadRing('the ring is not a JSON object with "version": 1 and a list of "keys"')
        root = document.get("root")
        if not isinstance(root, dict):
            raise BadRing('the ring has no "root"')
        self._root = root
        self._secrets: dict[str, bytes] = {}
        self._states: dict[str, State] = {}
        self._created: dict[str, str] = {}
        self._derived: dict[tuple[Purpose, str], bytes] = {}
        seen = {_secret("root", root)}
        for item in document["keys"]:
            key_id = item.get("id") if isinstance(item, dict) else None
            if not isinstance(key_id, str) or not _KEY_ID.match(key_id):
                raise BadRing("a key of the ring has no id of lower-case letters, digits and hyphens (32 at most)")
            if key_id in self._secrets:
                raise BadRing(f"two keys of the ring have the id {key_id}")
            secret = _secret(key_id, item)
            if secret in seen:
                raise BadRing(f"key {key_id} of the ring repeats another one")
            seen.add(secret)
            try:
                self._states[key_id] = State(item.get("state"))
            except ValueError:
                raise BadRing(f"key {key_id} of the ring has no state out of: {', '.join(State)}") from None
            self._secrets[key_id] = secret
            self._created[key_id] = str(item.get("created", ""))
        primaries = [key_id for key_id, state in self._states.items() if state is State.PRIMARY]
        if len(primaries) != 1:
            raise BadRing(f"the ring has {len(primaries)} primary keys and needs exactly one")
        #: id of the key that seals now
        self.primary: str = primaries[0]
        #: derived once: these two are needed per request and per row
        self.token_key: bytes = self.derive(Purpose.TOKEN)
        self.row_key: bytes = self.derive(Purpose.ROW)

    @classmethod
    def load(cls, path: Path) -> Ring:
        """Read and check a ring file, or a descriptor as /dev/fd/3. Raises BadRing."""
        return cls(_parse(_read(path), path))

    @property
    def states(self) -> Mapping[str, State]:
        """Key id -> state, in the file's order."""
        return dict(self._states)

    def get(self, key_id: str) -> State:
        """State of a key that may open. Raises UnknownKey for one that is absent or disabled."""
        state = self._states.get(key_id)
        if state is None:
            raise UnknownKey(f"the ring has no key {key_id}")
        if state is State.DISABLED:
            raise UnknownKey(f"key {key_id} of the ring is disabled")
        return state

    def derive(self, purpose: Purpose, key_id: str | None = None) -> bytes:
        """The 32-byte key of a purpose. `key_id` (default: the primary) counts for sealing purposes only.

        Raises UnknownKey.
        """
        if purpose in SEALING:
            source_id = self.primary if key_id is None else key_id
            self.get(source_id)
        else:
            source_id = ""
        derived = self._derived.get((purpose, source_id))
        if derived is None:
            source = self._secrets[source_id] if source_id else _secret("root", self._root)
            info = b"jackfield/v1/" + purpose.value.encode()
            derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(source)
            self._derived[purpose, source_id] = derived
        return derived

    def document(self) -> dict[str, Any]:
        """The file's content, secrets included: for `change` alone."""
        keys = [
            {
                "id": key_id,
                "secret": base64.b64encode(secret).decode(),
                "state": self._states[key_id].value,
                "created": self._created[key_id],
            }
            for key_id, secret in self._secrets.items()
        ]
        return {"version": 1, "root": dict(self._root), "keys": keys}

    def __repr__(self) -> str:
        return "<Ring " + " ".join(f"{key_id}:{state}" for key_id, state in self._states.items()) + ">"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a ring is not pickled or copied")


def fresh_key(state: State) -> dict[str, str]:
    """A new random key for a ring's document."""
    now = datetime.now(UTC)
    return {
        "id": f"k{now:%Y%m%d}-{secrets.token_hex(3)}",
        "secret": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
        "state": state.value,
        "created": now.isoformat(timespec="seconds"),
    }


def create(path: Path) -> Ring:
    """Make a ring file of one primary key, mode 0600, if there is none; load it. Raises BadRing.

    Of several processes that start at once, one makes it and all load the same.
    """
    if not path.exists():
        root = fresh_key(State.PRIMARY)
        kept = {name: root[name] for name in ("secret", "created")}
        document = {"version": 1, "root": kept, "keys": [fresh_key(State.PRIMARY)]}
        draft = _write_beside(path, document)
        try:
            os.link(draft, path)  # unlike a rename, it never replaces a ring that was there first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return Ring.load(path)


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> Ring:
    """Edit a ring's document under a lock, check the result, and put it in place in one step. Raises BadRing."""
    if _is_descriptor(path):
        raise BadRing(f"the ring comes from {path} and cannot be written here: change it where it is kept")
    with _locked(path):
        document = Ring.load(path).document()
        edit(document)
        ring = Ring(document)
        _write_beside(path, document).replace(path)
        _sync_folder(path.parent)
    forget()
    return ring


class _Loaded:
    """The ring in use by this process, and what its file looked like when it was read."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ring: Ring | None = None
        self.look_again = 0.0
        self.seen: tuple[str, int, int, int] | None = None
        self.problem = ""


_LOOK_EVERY: Final = 1.0
_loaded = _Loaded()


def current() -> Ring:
    """The ring of this installation, read anew within a second of a change of its file.

    A file that is gone or bad replaces no ring in use: `problem` tells, and the file is looked at again every second.
    Raises BadRing if there is no ring in use.
    """
    ring = _loaded.ring
    if ring is not None and time.monotonic() < _loaded.look_again:
        return ring
    try:
        return _look()
    except BadRing as error:
        ring = _loaded.ring
        if ring is None:
            raise
        _loaded.look_again = time.monotonic() + _LOOK_EVERY
        if _loaded.problem != str(error):
            _loaded.problem = str(error)
            log.error("%s; the ring read before stays in use", error)
        return ring


def problem() -> str:
    """Why the ring's file could not replace the ring in use at the last look, or ""."""
    return _loaded.problem


def reload() -> Ring:
    """`current`, looking at the file now: for whoever meets a key id that the ring in use lacks. Raises BadRing."""
    _loaded.look_again = 0.0
    return _look()


def forget(**kwargs: object) -> None:
    """Drop the ring in use; the next call of `current` reads the file."""
    if kwargs.get("setting", "RING_FILE") == "RING_FILE":
        _loaded.ring = None
        _loaded.seen = None
        _loaded.problem = ""


setting_changed.connect(forget, dispatch_uid="keys.ring.forget")


def _look() -> Ring:
    path = Path(settings.RING_FILE)
    with _loaded.lock:
        if _is_descriptor(path):
            # A pipe gives its text once, so what was read stays for the life of the process.
            seen = (str(path), 0, 0, 0)
        else:
            try:
                found = path.stat()
            except OSError as error:
                raise _missing(path) from error
            seen = (str(path), found.st_ino, found.st_mtime_ns, found.st_size)
        if _loaded.ring is None or seen != _loaded.seen:
            _loaded.ring = Ring.load(path)
            _loaded.seen = seen
        _loaded.look_again = time.monotonic() + _LOOK_EVERY
        _loaded.problem = ""
        return _loaded.ring


def _is_descriptor(path: Path) -> bool:
    return path.parent in (Path("/dev/fd"), Path("/proc/self/fd"))


def _missing(path: Path) -> BadRing:
    return BadRing(
        f"there is no ring at {path}: make one with `.venv/bin/python manage.py rotate_ring --init`, "
        "or set JACKFIELD_RING_FILE"
    )


def _read(path: Path) -> str:
    """The text of a ring file that only its owner (or an inherited descriptor) can read."""
    try:
        if _is_descriptor(path):
            with os.fdopen(os.dup(int(path.name)), "rb") as file:
                raw = file.read(_MAX_FILE + 1)
        else:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    raise BadRing(f"{path} is not a file")
                if mode & 0o077:
                    raise BadRing(f"others can read or write the ring: chmod 600 {path}")
                raw = file.read(_MAX_FILE + 1)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (OSError, ValueError) as error:
        raise BadRing(f"the ring at {path} cannot be read: {type(error).__name__}") from error
    if not raw.strip():
        raise BadRing(f"the ring at {path} is empty")
    if len(raw) > _MAX_FILE:
        raise BadRing(f"the ring at {path} is larger than {_MAX_FILE} bytes")
    return raw.decode("utf-8", "replace")


def _parse(text: str, path: Path) -> object:
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        # The parser's own message quotes the text, and the text holds keys.
        raise BadRing(f"the ring at {path} is not JSON") from None
    return document


def _secret(name: str, item: Mapping[str, Any]) -> bytes:
    """A key's bytes, refused if they were not drawn at random (R-SEC-05)."""
    text = item.get("secret")
    try:
        secret = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        raise BadRing(f"the secret of {name} in the ring is not base64") from None
    if len(secret) != KEY_BYTES:
        raise BadRing(f"the secret of {name} in the ring has {len(secret)} bytes and must have {KEY_BYTES}")
    steps = {(after - before) % 256 for before, after in itertools.pairwise(secret)}
    typed = all(32 <= byte < 127 for byte in secret)
    # 32 random bytes hold 30 different ones; fewer than 17 never happens by chance.
    if len(set(secret)) < 17 or len(steps) < 4 or typed or secret in _KNOWN:
        raise BadRing(
            f"the secret of {name} in the ring is not random: draw one with "
            "`python -c 'import secrets,base64; print(base64.b64encode(secrets.token_bytes(32)).decode())'`"
        )
    return secret


def _write_beside(path: Path, document: Mapping[str, Any]) -> Path:
    """Write the document, 0600 and synced, to a new file next to `path`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
