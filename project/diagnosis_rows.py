"""What `manage.py doctor` sees in the configuration: keys that do not open, models that nothing can serve, the like."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import DatabaseError

from keys import vault
from keys.models import ApiToken, ProviderKey
from keys.ring import BadRing
from project.diagnosis import MACHINE, Finding, Status
from providers.probing import most_a_day
from routing.build import BadSnapshot, build
from routing.fleet import fleet
from routing.fleet_rows import rows
from routing.loose_ends import lost_preferences, not_reachable, why_not
from routing.models import CatalogMark, PublicModel
from routing.probing import failing, probed, said
from routing.snapshot import FLEET, Snapshot

#: Rows named in one finding; the rest is counted.
SHOWN: Final = 4


def examine() -> list[Finding]:
    """Every check, in the order in which one would ask. A database that does not answer ends it early."""
    found = [finding for check in MACHINE for finding in check()]
    if any(finding.area in {"database", "schema"} and finding.status is Status.FAIL for finding in found):
        return found
    try:
        return found + [finding for check in ROWS for finding in check()]
    except DatabaseError as error:
        lost = Finding("database", Status.FAIL, f"it stopped answering ({type(error).__name__})", "Look at its log")
        return [*found, lost]


def keys() -> Iterator[Finding]:
    """Whether the ring opens every stored key."""
    try:
        failures = vault.check_all()
    except BadRing:
        return  # the ring itself has a finding
    if not failures:
        yield Finding("keys", Status.OK, "every stored key opens")
        return
    by_reason: dict[str, Counter[str]] = defaultdict(Counter)
    for failure in failures:
        by_reason[failure.reason][failure.account] += 1
    for reason, accounts in sorted(by_reason.items()):
        shown = _some(f"{name} ({count})" for name, count in sorted(accounts.items()))
        if reason in {"unknown-key", "wrong-key"}:
            yield Finding(
                "keys",
                Status.FAIL,
                f"the ring does not open {sum(accounts.values())} key(s) of {shown}",
                "Put back the ring they were sealed with (JACKFIELD_RING_FILE), or enter them again in the admin",
            )
        else:
            yield Finding(
                "keys",
                Status.WARN,
                f"{sum(accounts.values())} key(s) cannot be used ({reason}): {shown}",
                "Enter them again in the admin; imported ones: .venv/bin/python manage.py import_keys --rebind; "
                "env: and file: ones: .venv/bin/python manage.py apply FILE --rebind",
            )


def spent() -> Iterator[Finding]:
    """Keys whose upstream says that somebody has to pay or to raise a limit."""
    marked = ProviderKey.objects.filter(enabled=True).exclude(spent_at=None)
    accounts = Counter(marked.values_list("key_set__account__name", flat=True))
    if accounts:
        shown = _some(f"{name} ({count})" for name, count in sorted(accounts.items()))
        yield Finding(
            "quotas",
            Status.WARN,
            f"{accounts.total()} key(s) have used up their quota or balance: {shown}",
            "Settle it with the provider, then 'Use again' in the list of keys; or add keys",
        )


def catalog() -> Iterator[Finding]:
    if CatalogMark.objects.exists():
        yield Finding("catalog", Status.OK, "loaded")
    else:
        yield Finding("catalog", Status.WARN, "it was never loaded", "Run: .venv/bin/python manage.py load_catalog")


def people() -> Iterator[Finding]:
    """Somebody can log in, somebody can call."""
    if not get_user_model().objects.filter(is_active=True, is_staff=True).exists():
        yield Finding(
            "people", Status.WARN, "nobody can log in to the admin", "Run: .venv/bin/python manage.py createsuperuser"
        )
    if ApiToken.objects.filter(revoked_at__isnull=True).exists():
        yield Finding("tokens", Status.OK, "there are tokens to call with")
    else:
        yield Finding(
            "tokens", Status.WARN, "there is no token to call /v1 with", "Run: .venv/bin/python manage.py token PROJECT"
        )


def probes() -> Iterator[Finding]:
    """What probes may cost, and which accounts they found wanting."""
    accounts = list(probed()) if settings.PROBES else []
    if not accounts:
        yield Finding("probes", Status.OK, "no account is probed")
        return
    most = sum(most_a_day(row.probe_interval) for row in accounts)
    cost = sum(most_a_day(row.probe_interval) * row.probe_cost for row in accounts) / 1_000_000
    price = f"${cost:,.2f} a day" if cost else "free at these providers"
    names = _some(row.name for row in accounts)
    yield Finding("probes", Status.OK, f"at most {most} requests a day at {names}; {price}")
    for row in failing():
        yield Finding(
            "probes",
            Status.WARN,
            f"{row.account.name}: {said(row)}",
            "Look at its key and address; probes are set at the account in the admin",
        )


def patching() -> Iterator[Finding]:
    """The snapshot that would be served, and what in it leads nowhere."""
    try:
        snapshot = build()
    except BadSnapshot as error:
        for problem in error.problems:
            yield Finding("snapshot", Status.FAIL, problem, "Correct it in the admin; the last good snapshot serves on")
        return
    yield Finding(
        "snapshot",
        Status.OK,
        f"revision {snapshot.revision}: {len(snapshot.models)} models, {len(snapshot.accounts)} accounts",
    )
    if snapshot.left_out:
        yield Finding(
            "snapshot",
            Status.WARN,
            f"left out: {_some(f'{what} ({why})' for what, why in snapshot.left_out.items())}",
            "Revoke those tokens and issue new ones",
        )
    yield from _fleets(snapshot)
    for account, reason in not_reachable(snapshot):
        yield Finding(
            "accounts",
            Status.WARN,
            f"{account}: {reason}",
            "Give it an https:// address, or switch private_network on at the account if the address is meant",
        )
    yield from _models(snapshot)
    yield from _preferences(snapshot)


def _fleets(snapshot: Snapshot) -> Iterator[Finding]:
    """Accounts whose models workers serve, and no worker is there."""
    rows.load()
    lack: dict[str, list[str]] = defaultdict(list)
    for model in snapshot.models.values():
        for route in model.routes if model.enabled else ():
            account = snapshot.accounts[route.account_id]
            if route.infra == FLEET and route.enabled and account.enabled:
                why = fleet.why_not(snapshot, account.id, route.upstream_model)
                if why is not None:
                    lack[f"{account.name}: {why}"].append(model.name)
    for what, models in sorted(lack.items()):
        yield Finding(
            "fleets",
            Status.WARN,
            f"{what}, for {_some(models)}",
            "Start a worker that registers with a fleet token of the account: see docs/fleets.md",
        )


def _models(snapshot: Snapshot) -> Iterator[Finding]:
    """Public models that nothing can serve. Models as the catalog gave them are not the operator's fault."""
    untouched = {
        row.name
        for row in PublicModel.objects.prefetch_related("routes")
        if row.catalog and all(route.catalog for route in row.routes.all())
    }
    faults: dict[str, list[str]] = defaultdict(list)
    waiting: list[str] = []
    dead: list[str] = []
    for model in snapshot.models.values():
        if not model.enabled:
            continue
        reasons = [(route, why_not(snapshot, route, model.service)) for route in model.routes if route.enabled]
        if model.name in untouched:
            if reasons and all(reason for _, reason in reasons):
                waiting.append(model.name)
            continue
        for route, reason in reasons:
            if reason:
                faults[reason].append(
                    f"{model.name} -> {snapshot.accounts[route.account_id].name}/{route.upstream_model}"
                )
        if all(reason for _, reason in reasons):
            dead.append(model.name)
    for reason, routes in sorted(faults.items()):
        yield Finding(
            "routes", Status.WARN, f"{reason}: {_some(routes)}", "Re-patch the route, or complete its account"
        )
    if dead:
        yield Finding(
            "models",
            Status.WARN,
            f"nothing can serve {_some(dead)}",
            f"See: .venv/bin/python manage.py explain {sorted(dead)[0]}",
        )
    else:
        yield Finding("models", Status.OK, "every model that operators patched has a working candidate")
    if waiting:
        yield Finding("models", Status.OK, f"{len(waiting)} models of the catalog wait for a key or a dialect")


def _preferences(snapshot: Snapshot) -> Iterator[Finding]:
    """Preferred and default models that no longer exist."""
    for project, name, hint in lost_preferences(snapshot):
        yield Finding(
            "projects",
            Status.WARN,
            f"project {project} prefers '{name}', which is no model{hint}",
            "Correct it at the project in the admin",
        )


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


#: What needs the database.
ROWS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (keys, spent, catalog, people, probes, patching)
