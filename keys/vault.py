"""Where credentials go in: they are sealed on entry, and nothing here gives one back (R-SEC-07, R-SEC-08).

Opening is for requests (`keys.pool`) and for the check that tells operators which keys must be entered anew.
"""

from __future__ import annotations

import hmac
import json
import uuid
from typing import Final, NamedTuple

from django.db.models import Max
from django.utils import timezone

from keys import origins, sealing
from keys import ring as rings
from keys.entries import KeyEntry, KeySetEntry
from keys.models import KeySet, ProviderKey
from keys.ring import Purpose
from keys.sealing import Unsealable, Where
from providers.config import together
from providers.entries import AccountEntry, ProviderEntry, Variable
from providers.hosts import BadUrl
from providers.models import Account
from providers.secrets import Secret

TABLE: Final = ProviderKey._meta.db_table
FIELD: Final = "sealed"
#: Imported keys come after those that people entered.
IMPORTED_FROM: Final = 1000
MAX_LENGTH: Final = 16 * 1024
#: A shorter key would lose too much of itself to "last four".
_SHOW_FROM: Final = 16
#: Parts of a credential of several parts that may be shown by their last four.
_NAMES_IN_PARTS: Final = ("access_key_id", "client_id", "clientid")


class BadKey(ValueError):
    """A key that cannot be taken. The text says why and never quotes it."""


class Bound(NamedTuple):
    """Whose a key is and where it may go: of an account, of one project or (None) of all, for these origins."""

    account_id: int
    project_id: int | None
    origins: str


class Undecryptable(NamedTuple):
    """A stored key that must be entered again, and why (a reason of `Unsealable`)."""

    key_id: str
    account: str
    key_set: str
    reason: str


def origin(key_set: KeySet) -> str:
    """What this set's keys are bound to. Raises providers.hosts.UnfilledVariable or BadUrl."""
    return origins.origin(*_frozen(key_set.account), key_set.variables)


def bound(key_set: KeySet) -> Bound:
    """What this set's keys are sealed to. Raises providers.hosts.UnfilledVariable or BadUrl."""
    return Bound(key_set.account_id, key_set.project_id, origin(key_set))


def bound_entry(key_set: KeySetEntry) -> Bound:
    """The same of a set of the snapshot."""
    return Bound(key_set.account_id, key_set.project_id, key_set.origin)


def why_closed(key: KeyEntry, key_set: KeySetEntry) -> str:
    """Why a key of the snapshot does not open (a reason of `Unsealable`, "no-origin" or "no-ring"), or nothing."""
    try:
        open_key(key, bound_entry(key_set))
    except Unsealable as error:
        return error.reason if key_set.origin else "no-origin"
    except rings.BadRing:
        return "no-ring"
    return ""


def place(key_id: uuid.UUID | str, to: Bound) -> Where:
    """Where a provider key's seal belongs."""
    owner = f"account {to.account_id}" if to.project_id is None else f"account {to.account_id} project {to.project_id}"
    return Where(Purpose.CREDENTIAL, TABLE, str(key_id), FIELD, to.origins, owner)


def fingerprint(secret: Secret) -> str:
    """12 hex digits by which one key is told from another: of a keyed MAC, so that they do not test a guess."""
    return hmac.digest(rings.current().derive(Purpose.FINGERPRINT), secret.reveal().encode(), "sha256").hex()[:12]


def open_key(key: KeyEntry, to: Bound) -> Secret:
    """Open a key for use by its owner at its origins.

    Raises Unsealable, also for the seal of another key put in this row and for a row that was put into the set of
    another project or account (F-25).
    """
    secret = sealing.open_(key.sealed, place(key.id, to))
    if not hmac.compare_digest(fingerprint(secret), key.fingerprint):
        raise Unsealable("mismatch", "the seal holds another key than the row says")
    return secret


def enter_key(
    key_set: KeySet, plaintext: Secret, *, source: str = "entered", position: int | None = None, live: bool = False
) -> ProviderKey:
    """Seal a key into a set, last among the entered ones unless a position is given.

    Raises BadKey for a text that cannot be a key, and UnfilledVariable or BadUrl if the account's address is not
    complete: a key is bound to it.
    """
    secret = checked(plaintext)
    to = bound(key_set)
    if position is None:
        entered = key_set.keys.filter(position__lt=IMPORTED_FROM).aggregate(last=Max("position"))["last"]
        position = 0 if entered is None else min(entered + 1, IMPORTED_FROM - 1)
    row = ProviderKey(id=uuid.uuid4(), key_set=key_set, position=position, source=source, live=live)
    _seal_into(row, secret, to)
    row.save(force_insert=True)
    return row


def replace_key(row: ProviderKey, plaintext: Secret, *, source: str | None = None) -> None:
    """Put another key (or the same, for a changed origin) in a row's place. Raises as `enter_key` does."""
    secret = checked(plaintext)
    _seal_into(row, secret, bound(row.key_set))
    row.rotated_at = timezone.now()
    row.spent_at, row.spent_for = None, ""
    if source is not None:
        row.source = source
    with together():
        row.save(update_fields=["sealed", "last_four", "fingerprint", "rotated_at", "spent_at", "spent_for", "source"])


def check_all() -> list[Undecryptable]:
    """Open every stored key in memory and name those that do not open. About 20 microseconds a key."""
    failed: list[Undecryptable] = []
    for key_set in KeySet.objects.select_related("account__provider").prefetch_related("keys"):
        rows = list(key_set.keys.all())
        if not rows:
            continue
        try:
            to = bound(key_set)
        except BadUrl:
            failed.extend(_failure(row, key_set, "no-origin") for row in rows)
            continue
        for row in rows:
            try:
                open_key(entry(row), to)
            except Unsealable as error:
                failed.append(_failure(row, key_set, error.reason))
    return failed


def ring_problem() -> str:
    """Why the ring in use does not fit the stored keys, or "": it is another installation's, or lost a key.

    Keys that are unusable for reasons of their own (a changed origin, an altered row) do not make the ring wrong.
    """
    wrong = sum(1 for failure in check_all() if failure.reason in ("unknown-key", "wrong-key"))
    if not wrong:
        return ""
    return (
        f"the ring cannot open {wrong} stored key(s): put back the ring they were sealed with (JACKFIELD_RING_FILE), "
        "or delete them and enter them again"
    )


def entry(row: ProviderKey) -> KeyEntry:
    """The frozen form of a row."""
    return KeyEntry(
        id=str(row.pk),
        position=row.position,
        sealed=bytes(row.sealed),
        last_four=row.last_four,
        fingerprint=row.fingerprint,
        source=row.source,
        live=row.live,
        enabled=row.enabled,
    )


def _frozen(account: Account) -> tuple[ProviderEntry, AccountEntry]:
    """An account's rows as the snapshot has them, as far as an address needs it."""
    provider = account.provider
    made = {name: getattr(provider, name) for name in ProviderEntry.__struct_fields__}
    made["variables"] = tuple(Variable(item["name"], (), item.get("default") or "") for item in provider.variables)
    holds = {name: getattr(account, name) for name in AccountEntry.__struct_fields__}
    return ProviderEntry(**made), AccountEntry(**{**holds, "provider": provider.slug})


def _failure(row: ProviderKey, key_set: KeySet, reason: str) -> Undecryptable:
    return Undecryptable(str(row.pk), key_set.account.name, key_set.name, reason)


def _seal_into(row: ProviderKey, secret: Secret, to: Bound) -> None:
    row.sealed = sealing.seal(secret, place(row.id, to))
    row.fingerprint = fingerprint(secret)
    row.last_four = _last_four(secret.reveal())


def checked(plaintext: Secret) -> Secret:
    """The key without white space around it. What is left goes into a header, so it must fit there. Raises BadKey."""
    text = plaintext.reveal().strip()
    if not text:
        raise BadKey("the key is empty")
    if len(text) > MAX_LENGTH:
        raise BadKey(f"the key is longer than {MAX_LENGTH} characters")
    in_parts = text.startswith("{")
    if in_parts and not isinstance(_parts(text), dict):
        raise BadKey("a credential that starts with { must be a JSON object")
    if not in_parts and (not text.isascii() or not text.isprintable()):
        raise BadKey("the key holds characters that no key has: line breaks, control or non-ASCII characters")
    return Secret(text)


def _parts(text: str) -> object:
    try:
        parts: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parts


def _last_four(text: str) -> str:
    """What may be shown of a key; of a credential in parts, of the part that is a name."""
    if text.startswith("{"):
        parts = _parts(text)
        named = [parts.get(name) for name in _NAMES_IN_PARTS] if isinstance(parts, dict) else []
        text = next((name for name in named if isinstance(name, str)), "")
    return text[-4:] if len(text) >= _SHOW_FROM else ""
