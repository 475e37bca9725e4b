"""Signing in to an account's provider with a code, from a page: begun, asked about now and then, stored in the end.

No thread waits. A row holds, sealed, what the issuer is asked with; whoever looks at the page has it asked, once per
interval at most however many look. `store` is also what `manage.py login` ends with.
"""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from django.utils import timezone

from keys import sealing, vault
from keys.models import KeySet, SignIn
from keys.ring import Purpose
from keys.sealing import Where
from providers import device_login
from providers.config import together
from providers.credentials.device_flow import SLOWER, CodeEnded, Declined, Flow, NotYet, Pending
from providers.credentials.logins import LOGINS
from providers.credentials.request import CannotMint
from providers.hosts import origin_of
from providers.minting import NoAnswer
from providers.models import Account
from providers.secrets import Secret

SOURCE: Final = "login"
#: The key set that a sign-in's key goes into: the account's shared one of that name.
SET: Final = "default"
#: Longer than any question takes: so long nobody else asks, unless its process died.
_ASKING: Final = timedelta(seconds=90)


class Shown(NamedTuple):
    """What the person is shown of a sign-in that waits: seconds until it ends and until the next question may be."""

    user_code: str
    url: str
    state: str
    left: int
    again: int

    @property
    def minutes(self) -> str:
        """What is left, as 4:05."""
        return f"{self.left // 60}:{self.left % 60:02}"


class Outcome(NamedTuple):
    """What came of a question. `state` is one of SignIn.State while it waits on, else: done, denied, expired, failed,
    gone (there is none). `secret` is to be stored when it is done."""

    state: str
    why: str = ""
    secret: Secret | None = None


def login_of(account: Account) -> Flow | None:
    """How one signs in to this account's provider with a code; None: one does not."""
    return LOGINS.get(account.provider.slug)


def check(account: Account) -> None:
    """Could what a sign-in gives be stored? Raises BadUrl: asked before the person is sent anywhere."""
    found = account.key_sets.filter(project=None, name=SET).first()
    vault.origin(found or KeySet(account=account, name=SET))


def store(account: Account, stored: Secret) -> None:
    """Seal what a sign-in gave as a key of the account's shared set; one of an earlier sign-in is replaced.

    One revision, or part of the one that is open. Raises BadKey, BadUrl, BadRing.
    """
    with together("login", f"signed in to {account.name}"):
        key_set, _ = KeySet.objects.get_or_create(account=account, project=None, name=SET)
        row = key_set.keys.filter(source=SOURCE).first()
        if row is None:
            vault.enter_key(key_set, stored, source=SOURCE)
        else:
            vault.replace_key(row, stored)


def begin(account: Account, person: Any) -> None:
    """Ask the issuer for a code, in place of one that this person has. Raises CannotMint (NoAnswer too), BadUrl."""
    login = LOGINS[account.provider.slug]
    check(account)
    pending = device_login.begun(login)
    now = timezone.now()
    SignIn.objects.filter(until__lt=now).delete()  # anybody's that were left lying
    forget(account, person)
    row = SignIn(id=uuid.uuid4(), account=account, person=person, interval=pending.interval)
    row.until = datetime.fromtimestamp(pending.until, UTC)
    row.ask_at = now + timedelta(seconds=pending.interval)
    row.sealed = sealing.seal(Secret(_written(pending)), _place(row, login))
    SignIn.objects.bulk_create([row], ignore_conflicts=True)  # of two begun at once, either will do


def forget(account: Account, person: Any) -> None:
    """Give up this person's sign-in, if there is one."""
    SignIn.objects.filter(account=account, person=person).delete()


def shown(account: Account, person: Any) -> Shown | None:
    """This person's sign-in that waits; None if there is none or it has ended. Raises Unsealable, BadRing."""
    row = _row(account, person)
    if row is None or row.until <= timezone.now():
        return None
    pending = _opened(row, LOGINS[account.provider.slug])
    return Shown(pending.user_code, pending.url, row.state, *_seconds(row))


def ask(account: Account, person: Any) -> Outcome:
    """Ask the issuer, if it is time, whether the person has answered. At most one question, and never in a transaction.

    Raises Unsealable, BadRing.
    """
    row = _row(account, person)
    if row is None:
        return Outcome("gone", "there is no sign-in of yours that waits")
    login, now = LOGINS[account.provider.slug], timezone.now()
    if row.until <= now:
        return _over(row, "expired", CodeEnded())
    # Who gets to write this asks; all others see how it stands.
    if not SignIn.objects.filter(pk=row.pk, ask_at__lte=now).update(ask_at=now + _ASKING):
        return Outcome(row.state)
    try:
        found = device_login.asked(login, _opened(row, login))
    except NotYet as problem:
        slower = SLOWER if problem.slower else 0.0
        return _waits(row, SignIn.State.SLOWER if slower else SignIn.State.WAITING, slower)
    except NoAnswer:
        return _waits(row, SignIn.State.UNREACHABLE, SLOWER)
    except Declined as problem:
        return _over(row, "denied", problem)
    except CodeEnded as problem:
        return _over(row, "expired", problem)
    except CannotMint as problem:
        return _over(row, "failed", problem)
    row.delete()
    return Outcome("done", secret=found)


def times(account: Account, person: Any) -> tuple[int, int]:
    """Seconds until the sign-in ends and until the next question may be; zeros if there is none."""
    row = _row(account, person)
    return (0, 0) if row is None else _seconds(row)


def _row(account: Account, person: Any) -> SignIn | None:
    return SignIn.objects.filter(account=account, person=person).first()


def _seconds(row: SignIn) -> tuple[int, int]:
    now = timezone.now()
    left, again = ((at - now).total_seconds() for at in (row.until, row.ask_at))
    # While a question is under way the page looks again soon: it does not take as long as it may.
    return max(0, math.floor(left)), max(1, math.ceil(min(again, row.interval)))


def _waits(row: SignIn, state: SignIn.State, slower: float) -> Outcome:
    interval = row.interval + slower
    ask_at = timezone.now() + timedelta(seconds=interval)
    SignIn.objects.filter(pk=row.pk).update(state=state, interval=interval, ask_at=ask_at)
    return Outcome(state)


def _over(row: SignIn, state: str, why: CannotMint) -> Outcome:
    row.delete()
    return Outcome(state, str(why))


def _place(row: SignIn, login: Flow) -> Where:
    """Whose it is, and the only origin that it may be sent to."""
    owner = f"account {row.account_id} person {row.person_id}"
    return Where(Purpose.CREDENTIAL, SignIn._meta.db_table, str(row.pk), "sealed", origin_of(login.token_url), owner)


def _written(pending: Pending) -> str:
    secret = {"device_code": pending.device_code.reveal(), "verifier": pending.verifier.reveal()}
    plain = {"user_code": pending.user_code, "url": pending.url, "interval": pending.interval, "until": pending.until}
    return msgspec.json.encode({**plain, **secret}).decode()


def _opened(row: SignIn, login: Flow) -> Pending:
    parts = msgspec.json.decode(sealing.open_(bytes(row.sealed), _place(row, login)).reveal())
    secrets = {name: Secret(parts[name]) for name in ("device_code", "verifier")}
    return Pending(**{**parts, **secrets})
