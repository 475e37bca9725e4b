"""The admin's first page: what runs where, what needs a hand, and what the last day was like. And its menu."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any, Final

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from api.models import FAILED, REFUSED, UsageRecord
from keys import vault
from keys.models import KeySet, ProviderKey
from keys.pool import pool
from keys.roles import may
from providers.models import Account
from routing import history
from routing.models import PublicModel, Revision, Route
from routing.presence import processes
from routing.probing import failing, said
from routing.revisions import latest
from routing.standing import untouched, with_standing

#: Longer lists end with "and n more".
SHOWN: Final = 8

_MENU: Final = (
    (
        "Patch panel",
        (
            ("Public models", "routing_publicmodel", "conversion_path"),
            ("Routes", "routing_route", "route"),
            ("Aliases", "routing_alias", "alternate_email"),
            ("Prefix rules", "routing_prefixrule", "short_text"),
            ("Explain", "routing_publicmodel", "alt_route", "routing_explain"),
        ),
    ),
    (
        "Upstream",
        (
            ("Accounts", "providers_account", "account_balance"),
            ("Providers", "providers_provider", "dns"),
            ("Key sets", "keys_keyset", "folder_special"),
            ("Provider keys", "keys_providerkey", "key"),
            ("Workers", "routing_worker", "lan"),
            ("Model facts", "providers_catalogmodel", "fact_check"),
        ),
    ),
    (
        "Applications",
        (
            ("Projects", "keys_project", "apps"),
            ("Tokens", "keys_apitoken", "confirmation_number"),
            ("Usage", "api_usagerecord", "monitoring"),
        ),
    ),
    (
        "Operation",
        (
            ("Health", "routing_gatewayprocess", "monitor_heart", "routing_health"),
            ("Revisions", "routing_revision", "history"),
            ("Gateway processes", "routing_gatewayprocess", "memory"),
            ("Users", "auth_user", "group"),
            ("Roles", "auth_group", "shield_person"),
        ),
    ),
)


@dataclass(frozen=True)
class Day:
    """The last 24 hours. `refused` requests were wrong, or asked for what is not set up.
    `unpriced` ones reached an upstream and their cost is unknown: they are not in `cost_micro`."""

    requests: int
    failed: int
    refused: int
    cost_micro: int
    unpriced: int

    @property
    def cost(self) -> str:
        """What is known of the cost."""
        if self.requests and self.unpriced == self.requests:
            return "unknown"
        known = f"${self.cost_micro / 1_000_000:,.4f}"
        return f"{known} + {self.unpriced} of unknown cost" if self.unpriced else known


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu, with what this user may see."""
    groups: list[dict[str, Any]] = []
    for title, entries in _MENU:
        items = [_item(request, *entry) for entry in entries]
        shown = [item for item in items if item["permission"](request)]
        if shown:
            groups.append({"title": title, "items": shown, "separator": True})
    _mark(request.path, [item for group in groups for item in group["items"]])
    return groups


def _mark(path: str, items: list[dict[str, Any]]) -> None:
    """The page one is on, or the one that it stands beneath, is marked: one of them."""
    here = max((item["link"] for item in items if path.startswith(item["link"])), key=len, default="")
    for item in items:
        item["active"] = item["link"] == here


def _item(request: HttpRequest, title: str, page: str, icon: str, url: str = "") -> dict[str, Any]:
    """`url`: of a page beside the list, for who may see that."""
    app, model = page.split("_")
    allowed = bool(request.user.has_perm(f"{app}.view_{model}") or request.user.has_perm(f"{app}.change_{model}"))
    return {
        "title": title,
        "icon": icon,
        "link": reverse(f"admin:{url or f'{page}_changelist'}"),
        "permission": lambda _: allowed,
    }


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the first page shows to its context. A user sees only what its pages would show too."""
    user, newest = request.user, latest()
    sees_models = may(user, "view", PublicModel)
    context.update(
        newest=newest,
        processes=[(row, row.revision >= newest) for row in processes()] if sees_models else [],
        broken=_broken() if sees_models else [],
        waiting=untouched(_dead()).count() if sees_models else 0,
        reentry=vault.check_all() if may(user, "view", KeySet) else [],
        spent=_spent() if may(user, "view", KeySet) else [],
        probes=[(row, said(row)) for row in failing()[:SHOWN]] if may(user, "view", Account) else [],
        cooling=_cooling() if may(user, "view", KeySet) else [],
        day=last_day() if may(user, "view", UsageRecord) else None,
        busiest=_busiest() if may(user, "view", UsageRecord) else [],
        revisions=[(row, history.ago(row.at), history.summary(row, user)) for row in Revision.objects.all()[:SHOWN]]
        if may(user, "view", Revision)
        else [],
    )
    return context


@dataclass(frozen=True)
class Broken:
    """Enabled models that no route can serve, by the account that their first route leads to (None: no route)."""

    account: int | None
    name: str
    models: tuple[str, ...]


def _dead() -> QuerySet[PublicModel]:
    """Models that are on and that no route can serve."""
    return with_standing(PublicModel.objects.filter(enabled=True)).filter(works=False)


def _broken() -> list[Broken]:
    """Those that an operator made or changed; what the catalog gave and nobody set up is not broken."""
    first = Route.objects.filter(model=OuterRef("pk"), enabled=True).order_by("priority", "pk")
    rows = (
        _dead()
        .exclude(pk__in=untouched(PublicModel.objects.all()).values("pk"))
        .annotate(at=Subquery(first.values("account")[:1]), at_name=Subquery(first.values("account__name")[:1]))
        .order_by("at_name", "name")
    )
    found: dict[tuple[int | None, str], list[str]] = {}
    for row in rows.values("name", "at", "at_name"):
        found.setdefault((row["at"], row["at_name"] or ""), []).append(row["name"])
    return [Broken(account, name, tuple(models)) for (account, name), models in found.items()]


def _spent() -> list[ProviderKey]:
    """Keys whose quota, balance or spend limit is used up, as any process was told."""
    found = ProviderKey.objects.filter(enabled=True).exclude(spent_at=None).select_related("key_set__account")
    return list(found.order_by("spent_at"))


def _cooling() -> list[tuple[str, int]]:
    """Accounts with rate-limited keys that rest, and for how many seconds at most, as this process knows."""
    if not pool.cooling.any():
        return []
    longest: dict[str, float] = {}
    keys = ProviderKey.objects.filter(enabled=True, spent_at=None).values_list("key_set__account__name", "fingerprint")
    for account, fingerprint in keys:
        left = pool.cooling.remaining(fingerprint)
        if left > 0:
            longest[account] = max(left, longest.get(account, 0))
    return [(account, ceil(left)) for account, left in sorted(longest.items())]


def last_day() -> Day:
    """Requests, failures and cost of the last 24 hours."""
    since = timezone.now() - timedelta(hours=24)
    totals = UsageRecord.objects.filter(started_at__gte=since).aggregate(
        requests=Count("id"),
        failed=Count("id", filter=FAILED),
        refused=Count("id", filter=REFUSED),
        cost=Sum("cost_micro"),
        unpriced=Count("id", filter=Q(cost_micro=None, attempts__gt=0)),
    )
    return Day(totals["requests"], totals["failed"], totals["refused"], totals["cost"] or 0, totals["unpriced"])


def _busiest() -> list[dict[str, Any]]:
    since = timezone.now() - timedelta(hours=24)
    rows = UsageRecord.objects.filter(started_at__gte=since).values("model", "account").order_by()
    counted = rows.annotate(
        requests=Count("id"), failed=Count("id", filter=FAILED), refused=Count("id", filter=REFUSED)
    ).order_by("-requests", "model", "account")
    return [dict(row) for row in counted[:SHOWN]]
