"""Which routes could serve a request, by the rows as they stand: what the admin's filters and warnings ask.

`routing.serving` answers, for each kind of route once (an account, a key set, a family); the database does the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT

from keys.models import ApiToken
from keys.vault import why_closed
from routing import tables
from routing.draft import Draft
from routing.fleet import fleet
from routing.models import PublicModel, Route
from routing.pacing import no_pace
from routing.questions import endpoint_for
from routing.serving import ENTERED, Reason, of_any_request
from routing.snapshot import EMPTY, FLEET, RouteEntry, Snapshot

Verdict = Callable[[list[Reason]], bool]


class Kind(NamedTuple):
    """What the answer for a route depends on: `service` is its model's. `upstream_model` counts where the facts of a
    model name its family, and where workers serve it."""

    account: int
    key_set: int | None
    family: str
    service: str
    infra: str
    upstream_model: str = ""


class Standing:
    """The accounts and keys (all, or those of some accounts) as they are in the tables when this is made."""

    def __init__(self, accounts: Collection[int] | None = None) -> None:
        self._found: dict[Kind, list[Reason]] = {}
        self._unreadable = ""
        self._snapshot = EMPTY
        try:
            self._snapshot = part(accounts)
        except tables.BadRow as error:  # no snapshot can be made of it either: the last good one serves on
            self._unreadable = str(error)

    def problems(self, route: Route) -> list[str]:
        """Why this route could not serve, in words for the one who patches it; its own switch is not asked."""
        place = (route.account_id, route.key_set_id, route.family, route.model.service, route.infra)
        return [reason.text for reason in self._of(Kind(*place, route.upstream_model))]

    def routes(self, fits: Verdict) -> QuerySet[Route]:
        """Routes that are on and whose reasons fit."""
        on = Route.objects.filter(enabled=True)
        rows = on.order_by().values_list("account_id", "key_set_id", "family", "model__service", "infra").distinct()
        kinds = [Kind(*row) for row in rows]
        named = self._named(on, workers=any(kind.infra == FLEET for kind in kinds))
        chosen = self._chosen([kind for kind in kinds if kind.infra != FLEET], fits)
        if not named:
            return on.filter(chosen)
        fitting = [pk for pk, kind in named.items() if fits(self._of(kind))]
        return on.filter(Q(pk__in=fitting) | (chosen & ~Q(pk__in=list(named))))

    def _of(self, kind: Kind) -> list[Reason]:
        if self._unreadable:
            return [Reason("off", self._unreadable)]
        if kind not in self._found:
            place = (kind.account, kind.upstream_model, kind.key_set, kind.family, kind.infra)
            entry = RouteEntry(0, *place, priority=0, weight=1, enabled=True, quirks={})
            self._found[kind] = of_any_request(self._snapshot, entry, endpoint_for(kind.service).dialect, why_closed)
        return self._found[kind]

    def _chosen(self, kinds: Iterable[Kind], fits: Verdict) -> Q:
        """The kinds that fit, as few conditions: by family and service, the accounts and the key sets."""
        accounts: dict[tuple[str, str], list[int]] = defaultdict(list)
        key_sets: dict[tuple[str, str], list[int]] = defaultdict(list)
        for kind in kinds:
            if not fits(self._of(kind)):
                continue
            if kind.key_set is None:
                accounts[kind.family, kind.service].append(kind.account)
            else:
                key_sets[kind.family, kind.service].append(kind.key_set)
        chosen = Q(pk__in=[])
        for (family, service), found in accounts.items():
            chosen |= Q(family=family, model__service=service, key_set=None, account__in=found)
        for (family, service), found in key_sets.items():
            chosen |= Q(family=family, model__service=service, key_set__in=found)
        return chosen

    def _named(self, on: QuerySet[Route], *, workers: bool) -> dict[int, Kind]:
        """The routes to models that workers serve, or whose facts name a family: few, and judged one by one."""
        names = {name for entry in self._snapshot.facts.values() for name in (entry.model, *entry.aliases)}
        if not names and not workers:
            return {}
        rows = on.filter(Q(infra=FLEET) | Q(family="", account__family="", upstream_model__in=names))
        fields = ("pk", "account_id", "key_set_id", "family", "model__service", "infra", "upstream_model")
        return {pk: Kind(*kind) for pk, *kind in rows.values_list(*fields)}


def part(accounts: Collection[int] | None) -> Snapshot:
    """What of a snapshot a route's standing depends on, as the tables are: accounts (all, or some) with their
    providers, keys and facts."""

    def of(path: str) -> Q | None:
        return None if accounts is None else Q(**{f"{path}__in": accounts})

    draft = Draft(EMPTY, 0)
    draft.put_providers(tables.providers(of("accounts__pk"), no_pace))
    draft.put_accounts(tables.accounts(of("pk"), no_pace))
    enabled = Q(enabled=True) & (of("key_set__account") or Q())
    draft.put_key_sets(list(tables.key_sets(of("account"), no_pace)), list(tables.keys(enabled, no_pace)))
    facts = list(tables.facts(~Q(family=""), no_pace))
    if facts:
        # A model's own id is never another's alias: what would be hidden so must be known, too.
        aliases = [alias for _, entry in facts for alias in entry.aliases]
        facts += tables.facts(Q(family="", model__in=aliases), no_pace)
    draft.put_facts(facts)
    if any(fleet):
        draft.put_tokens(tables.tokens(Q(kind=ApiToken.Kind.FLEET), no_pace))
    return draft.freeze(0.0)


def _works(reasons: list[Reason]) -> bool:
    return not reasons


def _works_once_set_up(reasons: list[Reason]) -> bool:
    return all(reason.what in ENTERED for reason in reasons)


def working_routes(standing: Standing | None = None) -> QuerySet[Route]:
    """Routes that are on and could serve."""
    return (standing or Standing()).routes(_works)


def with_standing(models: QuerySet[PublicModel], standing: Standing | None = None) -> QuerySet[Any]:
    """Public models with `works`: whether at least one route could serve."""
    return models.annotate(works=Exists(working_routes(standing).filter(model=OuterRef("pk"))))


def waits_for_key(standing: Standing | None = None) -> Exists:
    """Has the model a route that only lacks what an operator enters: a key, or the address?"""
    routes = (standing or Standing()).routes(_works_once_set_up)
    return Exists(routes.filter(model=OuterRef("pk")))


def problems(route: Route, standing: Standing | None = None) -> list[str]:
    """Why this route could not serve, in words for the one who patches it; its own switch is not asked."""
    return (standing or Standing([route.account_id])).problems(route)


def set_up() -> Exists:
    """Has the model a route of an operator's?"""
    return Exists(_patched().filter(model=OuterRef("pk")))


def untouched(models: QuerySet[PublicModel]) -> QuerySet[PublicModel]:
    """The catalog's, with the catalog's routes: nobody has set them up, so nothing of them is broken."""
    return models.exclude(catalog={}).exclude(pk__in=_patched().values("model"))


def _patched() -> QuerySet[Route]:
    """Routes that operators made, or led to another upstream model than the catalog did."""
    given: QuerySet[Any] = Route.objects.annotate(given=KT("catalog__upstream_model"))
    return given.exclude(given=F("upstream_model"))
