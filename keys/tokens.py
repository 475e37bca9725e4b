"""Tokens that applications come with: made once, shown once, kept as a MAC (R-TOK-01, R-TOK-02, R-TOK-03, R-TOK-06).

A token is `jf_`, its kind, 43 base62 digits (256 bits) and the CRC-32 of all that in 6 base62 digits, so that a
scanner finds it and a mistyped one is refused before any look-up. The database holds its HMAC under a key of the
ring's root; a second MAC over the row says that the row was written by us and not past us.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
import uuid
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils import timezone

from keys import ring as rings
from keys.entries import TokenEntry
from keys.models import ApiToken, Project
from providers.models import Account

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Published, so that secret scanners know the shape.
TOKEN_PATTERN: Final = r"jf_[patf][0-9A-Za-z]{49}"  # noqa: S105 - a pattern, not a token
PREFIX: Final = "jf_"
#: The values `row_mac_ok` takes, in its order: `ApiToken.objects.values_list(*TOKEN_FIELDS)`.
TOKEN_FIELDS: Final = ("id", "mac", "project_id", "account_id", "kind", "expires_at", "revoked_at", "row_mac")
MAC_BYTES: Final = 32

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_matches: Final = re.compile(TOKEN_PATTERN, re.ASCII).fullmatch
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: Looked at when no token has the MAC, so that a miss costs what a hit costs.
_NOBODY: Final = TokenEntry(id="", mac=bytes(MAC_BYTES), project_id=0, kind="", expires_at=1.0, revoked_at=1.0)
#: id, MAC, project, kind, expiry, revocation: fixed widths, so that no two rows read the same.
_PACK: Final = Struct(">16s32sq4sqq").pack
#: The account, in the MAC of a row that has one: no row without is as long.
_PACK_ACCOUNT: Final = Struct(">q").pack
#: "never" among microseconds since 1970; no time a database holds comes near it.
_NEVER: Final = -(2**63)


def _checksum(body: str) -> str:
    crc = zlib.crc32(body.encode("ascii"))
    return _PAIRS[crc // 14776336] + _PAIRS[crc // 3844 % 3844] + _PAIRS[crc % 3844]


#: A well-formed token that was never issued.
_STRANGER: Final = (_body := f"{PREFIX}t" + "".join(secrets.choice(_ALPHABET) for _ in range(43))) + _checksum(_body)


class TokenError(ValueError):
    """A token that cannot be issued or changed as asked. The text is for the operator."""


def mac(plaintext: str) -> bytes | None:
    """The MAC under which a token is kept, or None if the text is no token of ours. Looks nothing up."""
    if _matches(plaintext) is None or plaintext[-6:] != _checksum(plaintext[:-6]):
        return None
    return hmac.digest(rings.current().token_key, plaintext.encode("ascii"), "sha256")


def authenticate(tokens: Mapping[bytes, TokenEntry], plaintext: str, now: float) -> TokenEntry | None:
    """The live token that this text is, or None: one answer for malformed, unknown, revoked and expired.

    `tokens` is the snapshot's table, `now` epoch seconds. Every text costs one MAC, one look-up and one comparison in
    constant time; for one that cannot be a token they are made of a token that nobody has.
    """
    digest = mac(plaintext) or mac(_STRANGER) or _NOBODY.mac
    entry = tokens.get(digest, _NOBODY)
    expires_at = entry.expires_at
    # Nothing is decided before everything was looked at: each kind of failure takes the same steps.
    same = hmac.compare_digest(digest, entry.mac)
    alive = (expires_at is None or expires_at > now) & (entry.revoked_at is None)
    return entry if same & alive else None


def issue(
    project: Project | None,
    *,
    account: Account | None = None,
    kind: str = ApiToken.Kind.PROJECT,
    name: str = "",
    expires_at: datetime | None = None,
    created_by: User | None = None,
) -> tuple[ApiToken, str]:
    """Make a token of a project, or, of the kind for fleets, of an account. The second value is its text, which cannot
    be had again. Raises TokenError.
    """
    if kind not in ApiToken.Kind.values:
        raise TokenError(f"there is no kind of token {kind!r}; kinds are {', '.join(ApiToken.Kind.values)}")
    if (kind == ApiToken.Kind.FLEET) != (account is not None) or (account is None) != (project is not None):
        raise TokenError("a fleet token belongs to an account and to no project, every other one to a project alone")
    expires_at = checked_expiry(expires_at)
    body = f"{PREFIX}{kind}" + "".join(secrets.choice(_ALPHABET) for _ in range(43))
    plaintext = body + _checksum(body)
    digest = mac(plaintext)
    assert digest is not None
    row = ApiToken(
        id=uuid.uuid4(),
        project=project,
        account=account,
        kind=kind,
        name=name,
        mac=digest,
        last_four=plaintext[-4:],
        expires_at=expires_at,
        created_by=created_by,
    )
    row.row_mac = _row_mac(_values(row))
    row.save(force_insert=True)
    return row, plaintext


def revoke(row: ApiToken, reason: str = ApiToken.Reason.RETIRED) -> None:
    """End a token for good. The first revocation stands. `reason` "compromised" also asks to cut its streams."""
    if reason not in ApiToken.Reason.values:
        raise TokenError(f"a token is revoked as one of: {', '.join(ApiToken.Reason.values)}")
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.revoked_reason = reason
        row.row_mac = _row_mac(_values(row))
        row.save(update_fields=["revoked_at", "revoked_reason", "row_mac"])


def set_expiry(row: ApiToken, expires_at: datetime | None) -> None:
    """Let a token end at another time. Raises TokenError for a row that we did not write as it is now."""
    stored = ApiToken.objects.values_list(*TOKEN_FIELDS).get(pk=row.pk)
    if not row_mac_ok(stored):
        raise TokenError("this token's row was altered outside Jackfield: revoke it and issue another")
    row.expires_at = checked_expiry(expires_at)
    row.row_mac = _row_mac((*stored[:5], row.expires_at, stored[6]))
    row.save(update_fields=["expires_at", "row_mac"])


def replace(
    row: ApiToken, *, overlap: timedelta = timedelta(hours=24), created_by: User | None = None
) -> tuple[ApiToken, str]:
    """Issue a successor of a token, which itself ends after the overlap. Raises TokenError."""
    if row.revoked_at is not None:
        raise TokenError("a revoked token has no successor: issue a new one")
    successor = issue(row.project, account=row.account, kind=row.kind, name=row.name, created_by=created_by)
    end = timezone.now() + overlap
    if row.expires_at is None or end < row.expires_at:
        set_expiry(row, end)
    return successor


def row_mac_ok(row: Sequence[Any]) -> bool:
    """Did we write these values? `row` holds the TOKEN_FIELDS of one token, in their order, as the database gave them.

    A row that is not ours is left out of the snapshot (security goal G3). Costs about 3 microseconds.
    """
    ours = _row_mac(row[:7])
    return len(ours) == MAC_BYTES and hmac.compare_digest(ours, bytes(row[7]))


def _values(row: ApiToken) -> tuple[Any, ...]:
    return (row.id, row.mac, row.project_id, row.account_id, row.kind, row.expires_at, row.revoked_at)


def _row_mac(values: Sequence[Any]) -> bytes:
    token_id, digest, project_id, account_id, kind, expires_at, revoked_at = values
    digest = bytes(digest)
    if len(digest) != MAC_BYTES or len(kind) > 4:
        # Packing would cut or fill it. It is not ours; this is no row's MAC.
        return b""
    message = _PACK(
        token_id.bytes,
        digest,
        project_id or 0,
        kind.encode("ascii", "replace"),
        _moment(expires_at),
        _moment(revoked_at),
    )
    if account_id is not None:
        message += _PACK_ACCOUNT(account_id)
    return hmac.digest(rings.current().row_key, message, "sha256")


def _moment(at: datetime | None) -> int:
    """Microseconds since 1970: the precision both databases keep."""
    return _NEVER if at is None else (at - _EPOCH) // _MICROSECOND


def checked_expiry(expires_at: datetime | None) -> datetime | None:
    """The expiry within the installation's maximum, which is the default where there is one. Raises TokenError."""
    now = timezone.now()
    if expires_at is not None and expires_at <= now:
        raise TokenError("the expiry lies in the past")
    days: float = settings.TOKEN_MAX_DAYS
    if not days:
        return expires_at
    latest = now + timedelta(days=days)
    if expires_at is None:
        return latest
    if expires_at > latest:
        raise TokenError(f"a token may live {days:g} days here (JACKFIELD_TOKEN_MAX_DAYS)")
    return expires_at
