"""Key sets and a clock by hand: what tests of the key pool lease from."""

import uuid

import msgspec

from keys import sealing, vault
from keys.entries import KeyEntry, KeySetEntry
from providers.secrets import Secret

ORIGIN = "https://api.example.com:443"


#: key id -> its text and origin
MADE = {}


def key(text, *, live=False, enabled=True, origin=ORIGIN, fingerprint=None):
    key_id, secret = str(uuid.uuid4()), Secret(text)
    MADE[key_id] = (secret, origin)
    return KeyEntry(
        id=key_id,
        position=0,
        sealed=sealing.seal(secret, vault.place(key_id, vault.Bound(1, None, origin))),
        last_four=text[-4:],
        fingerprint=fingerprint or vault.fingerprint(secret),
        source="entered",
        live=live,
        enabled=enabled,
    )


def of(project, entry):
    """The key, sealed for a project instead of for all."""
    secret, origin = MADE[entry.id]
    sealed = sealing.seal(secret, vault.place(entry.id, vault.Bound(1, project, origin)))
    return msgspec.structs.replace(entry, sealed=sealed)


def key_set(number, *keys, project=None, name="default", origin=ORIGIN):
    if project is not None:
        keys = [of(project, entry) for entry in keys]
    return KeySetEntry(
        id=number, account_id=1, project_id=project, name=name, variables={}, origin=origin, keys=tuple(keys)
    )


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def texts(pool, sets, project=None, set_id=None):
    return [pool.lease(candidate).secret.reveal() for candidate in pool.candidates(sets, project, set_id)]
