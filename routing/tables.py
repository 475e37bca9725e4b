"""From database rows to frozen entries: one loader per table, for full builds and for patches alike.

Every loader is one query (of bare values, no model instances) and takes the condition of the rows wanted; None is all.
A row that cannot be formed into an entry raises BadRow, which refuses the snapshot and says which row it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from django.db import connection, models, transaction
from django.db.models import Q

from keys.entries import KeyEntry, ProjectEntry, TokenEntry
from keys.models import ApiToken, KeySet, Project, ProviderKey
from keys.rights import rights_ok
from keys.tokens import TOKEN_FIELDS, row_mac_ok
from providers.entries import AccountEntry, FactsEntry, ProviderEntry, Timeouts, Variable
from providers.models import Account, CatalogModel, Provider
from routing.models import Alias, Head, Preference, PrefixRule, PublicModel, Revision, Route
from routing.ordering import HOLDING
from routing.pacing import Pace, no_pace, paced
from routing.snapshot import PreferenceEntry, PrefixEntry, RouteEntry

Made = TypeVar("Made")
#: Rows that the database is asked for at once.
CHUNK = 50


class BadRow(ValueError):
    """A row that no entry can be made of; the text names it."""


class KeySetRow(msgspec.Struct, frozen=True):
    """A key set as its table has it: without its keys, which are a table of their own."""

    id: int
    account_id: int
    project_id: int | None
    name: str
    variables: dict[str, str]
    env_pattern: str


class ModelRow(msgspec.Struct, frozen=True):
    """A public model without its routes."""

    id: int
    name: str
    service: str
    description: str
    enabled: bool
    created: int
    strategy: str = "weighted"
    sticky: bool = False
    content_fallback: bool = False
    hedge_after: str = ""
    hedge_daily: int = 0


@contextmanager
def reading() -> Iterator[None]:
    """One consistent view of the database for several queries, which holds up no writer.

    Inside an open transaction it adds nothing.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        # Django's own atomic() would take the write lock here: its transactions are IMMEDIATE.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("COMMIT")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


def head() -> int:
    """Number of the newest revision."""
    return Head.objects.filter(pk=1).values_list("revision", flat=True).first() or 0


def revisions_after(number: int) -> list[tuple[int, list[dict[str, Any]]]]:
    """(number, changes) of every later revision, in order."""
    return list(Revision.objects.filter(number__gt=number).order_by("number").values_list("number", "changes"))


def _rows(
    model: type[models.Model], where: Q | None, fields: tuple[str, ...], pace: Pace, order: tuple[str, ...] = ("pk",)
) -> Iterator[tuple[Any, ...]]:
    found = model._base_manager.order_by(*order)
    if where is not None:
        found = found.filter(where)
    return paced(found.values_list(*fields).iterator(chunk_size=CHUNK), pace)


def owners(model: type[models.Model], field: str, pks: Collection[Any]) -> set[int]:
    """The ids that rows of a table hold in a foreign key, now."""
    return {row[0] for row in _rows(model, Q(pk__in=pks), (field,), no_pace)}


def _form(kind: type[Made], values: Any, what: str) -> Made:
    """JSON columns hold whatever was written into them: they must have the entry's types."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRow(f"{what}: {error}") from error


def providers(where: Q | None, pace: Pace) -> Iterator[tuple[int, ProviderEntry]]:
    fields = (
        *("pk", "slug", "name", "family", "families", "base_url", "variables", "credential", "credential_name"),
        *("env_keys", "aliases", "capabilities", "streaming", "keyless", "quirks", "enabled"),
        *("deferred_to", "deferred_reason"),
    )
    for pk, *values in _rows(Provider, where, fields, pace):
        named: dict[str, Any] = dict(zip(fields[1:], values, strict=True))
        what = f"provider {named['slug']}"
        named["variables"] = _form(tuple[Variable, ...], named["variables"], f"{what}, variables")
        yield pk, _form(ProviderEntry, named, what)


def accounts(where: Q | None, pace: Pace) -> Iterator[AccountEntry]:
    fields = (
        *("pk", "name", "provider__slug", "family", "base_url", "variables", "private_network", "timeouts", "enabled"),
        *("env_pattern", "worker_hosts"),
    )
    for pk, name, provider, family, base_url, variables, private, timeouts, enabled, env_pattern, hosts in _rows(
        Account, where, fields, pace
    ):
        what = f"account {name}"
        yield AccountEntry(
            id=pk,
            name=name,
            provider=provider,
            family=family,
            base_url=base_url,
            variables=_form(dict[str, str], variables, f"{what}, variables"),
            private_network=private,
            timeouts=_form(Timeouts, timeouts, f"{what}, timeouts"),
            enabled=enabled,
            env_pattern=env_pattern,
            worker_hosts=_form(tuple[str, ...], hosts, f"{what}, worker_hosts"),
        )


def key_sets(where: Q | None, pace: Pace) -> Iterator[KeySetRow]:
    fields = ("pk", "account_id", "project_id", "name", "variables", "env_pattern")
    for pk, account, project, name, variables, env_pattern in _rows(KeySet, where, fields, pace):
        values = _form(dict[str, str], variables, f"key set {name}, variables")
        yield KeySetRow(pk, account, project, name, values, env_pattern)


def keys(where: Q | None, pace: Pace) -> Iterator[tuple[int, KeyEntry]]:
    """(key set id, key), in the order keys are tried."""
    fields = ("pk", "key_set_id", "position", "sealed", "last_four", "fingerprint", "source", "live", "enabled")
    order = ("key_set_id", "position", "created_at", "pk")
    for pk, key_set, position, sealed, last_four, fingerprint, source, live, enabled in _rows(
        ProviderKey, where, fields, pace, order
    ):
        yield key_set, KeyEntry(str(pk), position, bytes(sealed), last_four, fingerprint, source, live, enabled)


def projects(where: Q | None, pace: Pace) -> Iterator[tuple[ProjectEntry, bool]]:
    """(entry, whether its rights are as we wrote them); a project with other rights is switched off."""
    fields = ("pk", "name", "enabled", "preference__allow", "rights_mac")
    for pk, name, enabled, allow, mac in _rows(Project, where, fields, pace):
        ours = rights_ok(pk, enabled, allow, mac)
        yield ProjectEntry(pk, name, enabled and ours), ours


def preferences(where: Q | None, pace: Pace) -> Iterator[tuple[int, PreferenceEntry]]:
    fields = ("pk", "project_id", "default_model", "preferred", "allow", "strict")
    for pk, project, default, preferred, allow, strict in _rows(Preference, where, fields, pace):
        what = f"preferences of project {project}"
        yield (
            pk,
            PreferenceEntry(
                project_id=project,
                default_model=default,
                preferred=_form(tuple[str, ...], preferred, f"{what}, preferred"),
                allow=_form(tuple[str, ...], allow, f"{what}, allow"),
                strict=strict,
            ),
        )


def public_models(where: Q | None, pace: Pace) -> Iterator[ModelRow]:
    fields = ("pk", "name", "service", "description", "enabled", "created_at")
    for pk, name, service, description, enabled, created, *held in _rows(PublicModel, where, (*fields, *HOLDING), pace):
        yield ModelRow(pk, name, service, description, enabled, int(created.timestamp()), *held)


def routes(where: Q | None, pace: Pace) -> Iterator[tuple[int, RouteEntry]]:
    """(model id, route), by priority then id."""
    fields = (
        *("model_id", "pk", "account_id", "upstream_model", "key_set_id", "family", "infra", "priority", "weight"),
        *("enabled", "quirks", "larger_context"),
    )
    for row in _rows(Route, where, fields, pace, ("model_id", "priority", "pk")):
        model, pk, account, upstream, key_set, family, infra, priority, weight, enabled, quirks, larger = row
        if not isinstance(quirks, dict):
            raise BadRow(f"route {pk}: its quirks are not an object")
        yield (
            model,
            RouteEntry(pk, account, upstream, key_set, family, infra, priority, weight, enabled, quirks, larger),
        )


def aliases(where: Q | None, pace: Pace) -> Iterator[tuple[int, str, str]]:
    """(id, alias, public model name)."""
    for row in _rows(Alias, where, ("pk", "name", "model__name"), pace):
        yield row[0], row[1], row[2]


def prefixes(where: Q | None, pace: Pace) -> Iterator[tuple[int, PrefixEntry]]:
    """The enabled ones."""
    enabled = Q(enabled=True) if where is None else where & Q(enabled=True)
    for pk, prefix, provider, strip in _rows(PrefixRule, enabled, ("pk", "prefix", "provider__slug", "strip"), pace):
        yield pk, PrefixEntry(prefix, provider, strip)


def tokens(where: Q | None, pace: Pace) -> Iterator[tuple[str, TokenEntry | None]]:
    """(id, entry); the entry is None if the row was not written by us (R-TOK-02)."""
    for *row, reason in _rows(ApiToken, where, (*TOKEN_FIELDS, "revoked_reason"), pace):
        pk, mac, project, account, kind, expires, revoked, _ = row
        if not row_mac_ok(row):
            yield str(pk), None
            continue
        yield (
            str(pk),
            TokenEntry(
                id=str(pk),
                mac=bytes(mac),
                project_id=project or 0,
                account_id=account or 0,
                kind=kind,
                expires_at=expires.timestamp() if expires else None,
                revoked_at=revoked.timestamp() if revoked else None,
                compromised=revoked is not None and reason == ApiToken.Reason.COMPROMISED,
            ),
        )


def facts(where: Q | None, pace: Pace) -> Iterator[tuple[int, FactsEntry]]:
    fields = (
        *("pk", "provider__slug", "model", "family", "kind", "context", "max_output", "input_modalities"),
        *("output_modalities", "tools", "reasoning", "structured_output", "price_input", "price_output"),
        *("price_cache_read", "price_cache_write", "aliases", "price_image"),
    )
    for pk, provider, *values in _rows(CatalogModel, where, fields, pace):
        named = dict(zip(fields[2:], values, strict=True))
        yield pk, _form(FactsEntry, {"provider": provider, **named}, f"facts of {provider}/{named['model']}")
