"""Re-patching public models to another account: what would change, shown first, then done in one revision."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from datetime import timedelta

from django.apps import apps
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from providers.models import Account, CatalogModel
from routing.models import PublicModel, Route
from routing.revisions import Author, recording
from routing.standing import Standing


@dataclass(frozen=True)
class Step:
    """One model's change. `before` is empty for a model that had no route. `warnings` do not forbid it."""

    model: PublicModel
    before: str
    after: str
    warnings: tuple[str, ...]
    requests: int
    route: Route
    changed: bool


def plan(models: QuerySet[PublicModel], account: Account, upstream_model: str) -> list[Step]:
    """The change of each model's first route (lowest priority number, enabled ones first). Nothing is written.

    An empty `upstream_model` keeps each route's own. Models without a route need one and raise nothing: they get a
    route only when `upstream_model` is given.
    """
    rows = list(models.prefetch_related("routes__account__provider").order_by("name"))
    used = _requests([row.name for row in rows])
    target = _Target(account)
    return [_step(row, target, upstream_model, used.get(row.name, 0)) for row in rows]


class _Target:
    """What is asked about the account once, for however many models."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.known = _known(account)
        self.standing = Standing([account.pk])


def _step(model: PublicModel, target: _Target, upstream_model: str, requests: int) -> Step:
    account, known = target.account, target.known
    routes = sorted(model.routes.all(), key=lambda route: (not route.enabled, route.priority, route.pk))
    old = routes[0] if routes else None
    new = copy(old) if old else Route(model=model)
    new.account, new.upstream_model = account, upstream_model or (old.upstream_model if old else "")
    same = old is not None and (old.account_id, old.upstream_model) == (account.pk, new.upstream_model)
    if old is None or old.account_id != account.pk:
        # A key set and a family were chosen for the account that it leaves.
        new.key_set, new.family = None, ""
    warnings = target.standing.problems(new)
    if not new.upstream_model:
        warnings.append("it has no route yet: say which upstream model")
    elif known and new.upstream_model not in known:
        warnings.append(f"{account.provider.slug} is not known to have {new.upstream_model}")
    if not new.enabled:
        warnings.append("this route is off and stays off")
    return Step(
        model=model,
        before=f"{old.account.name} / {old.upstream_model}" if old else "",
        after=f"{account.name} / {new.upstream_model}" if new.upstream_model else "",
        warnings=tuple(warnings),
        requests=requests,
        route=new,
        changed=bool(new.upstream_model) and not same,
    )


def apply(steps: Iterable[Step], author: Author, note: str) -> int:
    """Write the steps that change something; the number of routes written. One revision."""
    changed = [step for step in steps if step.changed]
    with recording(author, note=note):
        for step in changed:
            step.route.full_clean(exclude=["model"])
            step.route.save()
    return len(changed)


def _requests(names: list[str]) -> dict[str, int]:
    """Requests of the last 24 hours per public name."""
    usage = apps.get_model("api", "UsageRecord").objects.filter(
        started_at__gte=timezone.now() - timedelta(hours=24), model__in=names
    )
    return {row["model"]: row["n"] for row in usage.values("model").annotate(n=Count("id")).order_by()}


def use_of(name: str) -> str:
    """How much a public name was asked for in the last 24 hours, and by how many projects."""
    usage = apps.get_model("api", "UsageRecord").objects.filter(
        started_at__gte=timezone.now() - timedelta(hours=24), model=name
    )
    counts = usage.aggregate(
        requests=Count("id"),
        projects=Count("project", distinct=True),
        raced=Count("id", filter=Q(hedged=True)),
        lost=Sum("hedge_cost_micro"),
        unknown=Count("id", filter=Q(hedged=True, hedge_cost_micro=None)),
    )
    requests, projects, raced = counts["requests"], counts["projects"], counts["raced"]
    if not requests:
        return "Not asked for in the last 24 hours."
    said = (
        f"{requests} request{'' if requests == 1 else 's'} in the last 24 hours, "
        f"from {projects} project{'' if projects == 1 else 's'}."
    )
    if not raced:
        return said
    unknown = f" and {counts['unknown']} of unknown cost" if counts["unknown"] else ""
    return f"{said} {raced} hedged, for ${(counts['lost'] or 0) / 1_000_000:.4f} more at least{unknown}."


def _known(account: Account) -> set[str]:
    """Every id that the catalog has for the account's provider; empty if it lists none."""
    rows = CatalogModel.objects.filter(provider=account.provider_id).values_list("model", "aliases")
    return {name for model, aliases in rows for name in (model, *aliases)}
