"""Asks accounts that nobody hears of whether they answer: their list of models, with their own key.

Passive watching comes first: an account is probed where no process has heard of it for its interval, or while a circuit
of it is open. What a probe finds says nothing of a place that serves: it opens no circuit. An account that answers lets
the places of it that rest have a request before their time, once; one that refuses a key, fails, or cannot be reached
is marked so, for people.

Two beats at once probe once: who moves `tried_at` on probes, and nobody does more often than the day's share allows.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

import httpx
from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from keys.models import ProviderKey
from providers import probing, transport
from providers.models import Account
from routing.history import ago
from routing.models import AccountProbe, Notice, Route
from routing.overview import overview
from routing.places import Circuit, Figures
from routing.standing import part
from routing.syncing import ListAsk, prepare

Outcome = AccountProbe.Outcome
#: Seconds between two probes of an account with an open circuit, while the day's share lasts.
HURRIED: Final = 30
#: Seconds for one answer; probes that are under way at once, and in one go: it is over before the next beat, even if
#: nobody answers, so that probes never hold two of the worker's threads.
PATIENCE: Final = 10.0
AT_ONCE: Final = 20
MOST: Final = 40
#: By how much of the interval a probe is late at most, so that accounts do not stay in step.
JITTER: Final = 0.2
#: Notices older than this have been heard by everybody.
FORGOTTEN: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Found:
    """What one probe found."""

    outcome: Outcome
    detail: str
    took_ms: int


def probed() -> QuerySet[Account]:
    """Accounts in use, with a key if they need one, whose probes are on."""
    used = Account.objects.filter(enabled=True, provider__enabled=True, provider__deferred_to="")
    route = Route.objects.filter(account=OuterRef("pk"), enabled=True, model__enabled=True)
    key = ProviderKey.objects.filter(key_set__account=OuterRef("pk"), key_set__project=None, enabled=True)
    asked = Q(probe=probing.ON) | Q(probe=probing.FREE, probe_cost=0)
    keyless = Q(provider__keyless=True) | Q(provider__credential="none")
    keyless &= Q(private_network=False) | Q(provider__env_keys=[])  # there the key is what opts in (routing.syncing)
    return used.filter(asked, Exists(route), keyless | Exists(key))


def probe() -> int:
    """Probe what is due, at most `MOST` accounts, those first that were not tried for longest, and return how many
    answered. Blocking: for the worker."""
    if not settings.PROBES:
        return 0
    seen = overview()
    if not seen.processes:
        return 0  # nobody serves, so nobody needs to know
    open_now, heard = _by_account(seen.places.items())
    due = [
        account
        for account in probed().order_by(F("probed__tried_at").asc(nulls_first=True))
        if account.pk in open_now or heard.get(account.pk, float("inf")) > account.probe_interval
    ]
    claims = ((account.pk, _claim(account, account.pk in open_now)) for account in due)
    claimed = dict(islice(((pk, turn) for pk, turn in claims if turn is not None), MOST))
    asks: list[ListAsk] = []
    if claimed:
        snapshot = part(list(claimed))
        prepared = (prepare(snapshot, snapshot.accounts[pk], named=False, turn=turn) for pk, turn in claimed.items())
        asks = [ask for ask in prepared if isinstance(ask, ListAsk)]
    found = asyncio.run(_ask_all(asks))
    for ask, one in zip(asks, found, strict=True):
        _keep(ask, one)
        if one.outcome is Outcome.ANSWERS and ask.account.id in open_now:
            Notice.objects.create(kind=Notice.Kind.HASTEN, account_id=ask.account.id)
    Notice.objects.filter(at__lt=timezone.now() - FORGOTTEN).delete()
    return sum(one.outcome is Outcome.ANSWERS for one in found)


def _by_account(places: Iterable[tuple[tuple[int, str], Figures]]) -> tuple[set[int], dict[int, float]]:
    """Accounts with an open circuit, and how many seconds ago something was heard of each."""
    open_now: set[int] = set()
    heard: dict[int, float] = {}
    for (account, _), figures in places:
        if figures.circuit is Circuit.OPEN:
            open_now.add(account)
        if figures.heard is not None:
            heard[account] = min(figures.heard, heard.get(account, float("inf")))
    return open_now, heard


def _claim(account: Account, hurried: bool) -> int | None:
    """The number of today's probe of this account, if it is due and nobody else takes it."""
    now = timezone.now()
    pace = min(HURRIED, account.probe_interval) if hurried else account.probe_interval
    # Accounts that are met for the first time, as after a start, are spread over an interval.
    first = now - timedelta(seconds=pace * (2 if hurried else random.uniform(0, 1)))  # noqa: S311 - no secret
    row, _ = AccountProbe.objects.get_or_create(account=account, defaults={"tried_at": first, "day": now.date()})
    if now < row.tried_at + timedelta(seconds=pace * random.uniform(1, 1 + JITTER)):  # noqa: S311 - no secret
        return None
    count = row.count if row.day == now.date() else 0
    if count >= probing.most_a_day(account.probe_interval):
        return None
    mine = AccountProbe.objects.filter(pk=row.pk, tried_at=row.tried_at)
    return count if mine.update(tried_at=now, day=now.date(), count=count + 1) else None


async def _ask_all(asks: list[ListAsk]) -> list[Found]:
    room = asyncio.Semaphore(AT_ONCE)
    try:
        return await asyncio.gather(*(_ask(ask, room) for ask in asks))
    finally:
        await transport.aclose()


async def _ask(ask: ListAsk, room: asyncio.Semaphore) -> Found:
    """One request: its status is the answer, and the list itself is not read."""
    async with room:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                response = await transport.current().handle_async_request(ask.requests[0])
                await response.aclose()
        except TimeoutError:
            outcome, detail = Outcome.UNREACHABLE, f"no answer in {PATIENCE:.0f} s"
        except httpx.TimeoutException:
            outcome, detail = Outcome.UNREACHABLE, "it did not answer in time"
        except httpx.HTTPError as problem:
            outcome, detail = Outcome.UNREACHABLE, str(problem) or type(problem).__name__
        else:
            outcome, detail = _judged(response.status_code), f"it answered {response.status_code}"
        return Found(outcome, detail, round((time.monotonic() - began) * 1000))


def _judged(status: int) -> Outcome:
    """A place that answers at all can be reached; whether it has such a list is not asked."""
    if status in (401, 403):
        return Outcome.REFUSED
    return Outcome.FAILS if status >= 500 else Outcome.ANSWERS


def _keep(ask: ListAsk, found: Found) -> None:
    """Write down what was found. A key that was refused stays marked until it is not, or is gone."""
    row = AccountProbe.objects.get(pk=ask.account.id)
    rows = ProviderKey.objects.filter(key_set__account=ask.account.id, enabled=True)
    refused = {key for key in map(str, rows.values_list("pk", flat=True)) if key in row.refused_keys}
    if found.outcome is Outcome.REFUSED and ask.key:
        refused.add(ask.key)
    elif found.outcome is Outcome.ANSWERS:
        refused.discard(ask.key)
    AccountProbe.objects.filter(pk=row.pk).update(
        at=timezone.now(),
        outcome=found.outcome,
        detail=found.detail[:200],
        took_ms=found.took_ms,
        refused_keys=sorted(refused),
    )


def said(row: AccountProbe) -> str:
    """What a probe found, in a line."""
    if row.at is None:
        return "no probe yet"
    outcome = Outcome(row.outcome)
    if outcome is Outcome.ANSWERS and row.refused_keys:
        shown = f"it answers, but refuses {len(row.refused_keys)} of its keys"
    else:
        shown = f"{outcome.label[:1].lower()}{outcome.label[1:]}"
    return f"{shown} ({row.detail}, after {row.took_ms} ms), {ago(row.at)}"


def failing() -> QuerySet[AccountProbe]:
    """Last probes that found something wrong, of accounts that are still probed."""
    rows = (
        AccountProbe.objects.filter(account__in=probed().values("pk"))
        .exclude(outcome="")
        .exclude(outcome=Outcome.ANSWERS, refused_keys=[])
    )
    return rows.select_related("account").order_by("account__name")
