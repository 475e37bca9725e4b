"""Writes the lines of a document into rows: what differs is saved, the rest is not touched, problems are collected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import ProtectedError
from msgspec import UNSET

from keys.models import KeySet, Project
from providers.config import ConfigRow
from providers.credentials import SCHEMES
from providers.families import FAMILIES
from providers.hosts import BadUrl, check_template
from providers.models import Account, Provider
from providers.workers import bad_patterns
from routing.document import DEFAULT_KEY_SET, plain, variables
from routing.document_schema import (
    AccountLine,
    AliasLine,
    Document,
    KeyLine,
    KeySetLine,
    KeySetRef,
    Line,
    ModelLine,
    PrefixLine,
    ProjectLine,
    ProviderLine,
    RouteLine,
    identity,
    nearest,
)
from routing.models import Alias, Preference, PrefixRule, PublicModel, Route

Row = TypeVar("Row", bound=ConfigRow)
#: Rows go in this order, so that what a line refers to is there; they are removed in the opposite one.
_WRITTEN: Final = ("provider", "account", "project", "key_set", "model", "alias", "prefix")


#: What a line of a project says of its preferences.
_WISHES: Final = ("default_model", "preferred", "allow", "strict")


class Writer:
    """Applies one document inside the caller's transaction. Whoever finds `problems` afterwards must roll back."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[str] = []
        #: (place, key set, its lines), for `routing.document_keys` once every origin is what it will be
        self.keys: list[tuple[str, KeySet, Sequence[KeyLine]]] = []
        self._named = {
            table: {identity(table, line)[0] for line in document.lines(table) if not line.absent} for table in _WRITTEN
        }
        self._providers = {row.slug: row for row in Provider.objects.all()}
        self._accounts = {row.name: row for row in Account.objects.select_related("provider")}
        self._projects = {row.name: row for row in Project.objects.all()}
        self._key_sets = {
            (row.account_id, row.project_id, row.name): row
            for row in KeySet.objects.select_related("account", "project")
        }
        self._models = {row.name: row for row in PublicModel.objects.all()}
        self._aliases = {row.name: row for row in Alias.objects.all()}
        self._prefixes = {row.prefix: row for row in PrefixRule.objects.all()}

    def write(self) -> None:
        """Write every line that is present, then remove the rows of those that are absent."""
        steps: Mapping[str, Any] = {
            "provider": self._provider,
            "account": self._account,
            "project": self._project,
            "key_set": self._key_set,
            "model": self._model,
            "alias": self._alias,
            "prefix": self._prefix,
        }
        for table in _WRITTEN:
            for line in self.document.lines(table):
                if not line.absent:
                    steps[table](line)
        if not self.problems:
            for table in reversed(_WRITTEN):
                for line in self.document.lines(table):
                    if line.absent:
                        self._remove(table, line)

    # --- one line each ---------------------------------------------------------------------------------------------

    def _provider(self, line: ProviderLine) -> None:
        row = self._providers.get(line.id)
        values = _given(line, "id")
        if row is None:
            row = Provider(slug=line.id, name=line.id)
            if line.family is UNSET:
                self._say(line.place, '"family" is missing: a new provider needs the wire API it speaks')
                return
            self._providers[line.id] = row
        if line.variables is not UNSET:
            values["variables"] = [msgspec.structs.asdict(variable) for variable in line.variables]
            if variables(values["variables"]) == variables(row.variables):
                del values["variables"]
        for family in [line.family, *(line.families or {})]:
            self._family(line.place, family)
        if line.credential is not UNSET:
            self._known(line.place, "credential", line.credential, SCHEMES)
        for url in [line.base_url, *(line.families or {}).values()]:
            self._url(line.place, url)
        self._put(line.place, row, values)

    def _account(self, line: AccountLine) -> None:
        row = self._accounts.get(line.name)
        values = _given(line, "name", "provider", "keys")
        provider = self._lookup(line.place, "provider", line.provider, self._providers)
        fresh = row is None
        if row is None:
            row = Account(name=line.name)
            if line.provider is UNSET:
                self._say(line.place, '"provider" is missing: a new account needs one')
            self._accounts[line.name] = row
            if provider is None:
                return
        if provider is not None:
            values["provider"] = provider
        if line.timeouts is not UNSET:
            values["timeouts"] = _given(line.timeouts)
        self._family(line.place, line.family)
        self._url(line.place, line.base_url)
        for fault in bad_patterns(line.worker_hosts or ()):
            self._say(line.place, f"worker_hosts: {fault}")
        if self._put(line.place, row, values) and (fresh or line.keys is not UNSET):
            key_set = self._default_set(row)
            if line.keys is not UNSET:
                self.keys.append((line.place, key_set, line.keys))

    def _default_set(self, account: Account) -> KeySet:
        """The account's own shared set, where its `keys` go."""
        row = self._key_sets.get((account.pk, None, DEFAULT_KEY_SET))
        if row is None:
            row = KeySet(account=account, name=DEFAULT_KEY_SET)
            row.save(force_insert=True)
            self._key_sets[account.pk, None, DEFAULT_KEY_SET] = row
        return row

    def _project(self, line: ProjectLine) -> None:
        row = self._projects.get(line.name)
        preference: Preference | None = None
        if row is None:
            row = self._projects[line.name] = Project(name=line.name)
        else:
            preference = Preference.objects.filter(project=row).first()
        if not self._put(line.place, row, _given(line, "name", *_WISHES)):
            return
        wishes = {name: value for name in _WISHES if (value := getattr(line, name)) is not UNSET}
        if wishes:
            self._put(line.place, preference or Preference(project=row), wishes)

    def _key_set(self, line: KeySetLine) -> None:
        account = self._lookup(line.place, "account", line.account, self._accounts)
        project = self._lookup(line.place, "project", line.project or UNSET, self._projects)
        if account is None or (line.project and project is None):
            return
        owner = project.pk if project else None
        row = self._key_sets.get((account.pk, owner, line.name))
        if row is None:
            row = KeySet(account=account, project=project, name=line.name)
            self._key_sets[account.pk, owner, line.name] = row
        if not self._put(line.place, row, _given(line, "account", "project", "name", "keys")):
            return
        if line.keys is not UNSET:
            twice = [place for place, key_set, _ in self.keys if key_set.pk == row.pk]
            if twice:
                self._say(line.place, f"{twice[0]} gives the keys of this set too; give them once")
            self.keys.append((line.place, row, line.keys))

    def _model(self, line: ModelLine) -> None:
        row = self._models.get(line.name)
        fresh = row is None
        if row is None:
            row = self._models[line.name] = PublicModel(name=line.name)
        if self._put(line.place, row, _given(line, "name", "routes")) and line.routes is not UNSET:
            self._routes(line, row, [] if fresh else list(row.routes.order_by("priority", "pk")))

    def _alias(self, line: AliasLine) -> None:
        row = self._aliases.get(line.name)
        if row is None:
            row = Alias(name=line.name)
            if line.model is UNSET:
                self._say(line.place, '"model" is missing: a new alias needs the public model it stands for')
        model = self._lookup(line.place, "model", line.model, self._models)
        if model is not None:
            self._put(line.place, row, {"model": model})

    def _prefix(self, line: PrefixLine) -> None:
        row = self._prefixes.get(line.prefix)
        values = _given(line, "prefix", "provider")
        fresh = row is None
        if row is None:
            row = PrefixRule(prefix=line.prefix)
            if line.provider is UNSET:
                self._say(line.place, '"provider" is missing: a new prefix needs the provider its names go to')
        provider = self._lookup(line.place, "provider", line.provider, self._providers)
        if provider is not None:
            values["provider"] = provider
        elif fresh:
            return
        self._put(line.place, row, values)

    # --- routes ----------------------------------------------------------------------------------------------------

    def _routes(self, line: ModelLine, model: PublicModel, stored: list[Route]) -> None:
        """Make the stored routes those of the line with the fewest changes.

        A route that stays at its account and upstream model stays the same row; of the others, an old row is
        re-patched before one is added or removed, so its history goes on.
        """
        assert not isinstance(line.routes, msgspec.UnsetType)
        wanted = [
            (values, f"{line.place}, routes {number}")
            for number, route in enumerate(line.routes, 1)
            if (values := self._route(route, f"{line.place}, routes {number}")) is not None
        ]
        if len(wanted) != len(line.routes):
            return
        pairs: list[tuple[Route | None, dict[str, Any], str]] = []
        left: list[tuple[dict[str, Any], str]] = []
        for values, place in wanted:
            same = [row for row in stored if _same_end(row, values)]
            if not same:
                left.append((values, place))
                continue
            best = max(same, key=lambda row, values=values: _likeness(row, values))  # type: ignore[misc]  # not inferred
            stored.remove(best)
            pairs.append((best, values, place))
        for values, place in left:
            pairs.append((stored.pop(0) if stored else None, values, place))
        for row, values, place in pairs:
            self._put(place, row or Route(model=model), values)
        for row in stored:
            row.delete()

    def _route(self, line: RouteLine, place: str) -> dict[str, Any] | None:
        account = self._lookup(place, "account", line.account, self._accounts)
        self._family(place, line.family)
        if account is None:
            return None
        key_set: KeySet | None = None
        if line.key_set:
            key_set = self._key_set_of(account, line.key_set, place)
            if key_set is None:
                return None
        return {
            "account": account,
            "upstream_model": line.model,
            "key_set": key_set,
            "family": line.family,
            "infra": line.infra,
            "larger_context": line.larger_context,
            "priority": line.priority,
            "weight": line.weight,
            "enabled": line.enabled,
            "quirks": line.quirks,
        }

    def _key_set_of(self, account: Account, ref: str | KeySetRef, place: str) -> KeySet | None:
        name, owner = (ref, "") if isinstance(ref, str) else (ref.name, ref.project)
        project = self._projects.get(owner)
        found = None
        if not owner or project is not None:
            found = self._key_sets.get((account.pk, project.pk if project else None, name))
        if found is None:
            known = [row.name for row in self._key_sets.values() if row.account_id == account.pk]
            whose = f'account "{account.name}"' + (f' for project "{owner}"' if owner else "")
            self._say(place, f'{whose} has no key set "{name}"{nearest(name, known)}')
        return found if found is not None and found.pk is not None else None

    # --- parts -----------------------------------------------------------------------------------------------------

    def _put(self, place: str, row: ConfigRow, values: Mapping[str, Any]) -> bool:
        """Set what differs and save the row if it is new or changed. False if its content is not allowed."""
        changed = [name for name, value in values.items() if plain(_current(row, name)) != plain(value)]
        for name in changed:
            setattr(row, name, values[name])
        fresh = row._state.adding
        if not changed and not fresh:
            return True
        relations = {field.name for field in row._meta.concrete_fields if field.is_relation}
        try:
            row.clean_fields(exclude=relations)
        except ValidationError as error:
            for field, messages in error.message_dict.items():
                self._say(place, f"{field}: {' '.join(messages)}")
            return False
        row.save(force_insert=True) if fresh else row.save(update_fields=changed)
        return True

    def _lookup(self, place: str, what: str, name: Any, rows: Mapping[str, Row]) -> Row | None:
        """The row of that name. None, with a problem, where there is none; None for an unset name."""
        if not isinstance(name, str):
            return None
        row = rows.get(name)
        if row is not None:
            return row if row.pk is not None else None  # one that could not be written was reported already
        if name not in self._named.get(what, set()):
            aliases = {alias: slug for slug, known in self._providers.items() for alias in known.aliases}
            hint = (
                f'; did you mean "{aliases[name]}"?' if what == "provider" and name in aliases else nearest(name, rows)
            )
            self._say(place, f'there is no {what} "{name}"{hint}')
        return None

    def _known(self, place: str, field: str, value: str, known: Iterable[str]) -> None:
        if value not in known:
            self._say(place, f'{field}: "{value}" is not known{nearest(value, known)}')

    def _family(self, place: str, family: Any) -> None:
        if isinstance(family, str) and family:
            self._known(place, "family", family, FAMILIES)

    def _url(self, place: str, url: Any) -> None:
        if isinstance(url, str):
            try:
                check_template(url)
            except BadUrl as error:
                self._say(place, f"base_url: {error}")

    def _say(self, place: str, problem: str) -> None:
        self.problems.append(f"{place}: {problem}{'' if problem.endswith(('.', '?')) else '.'}")

    def _remove(self, table: str, line: Line) -> None:
        key = identity(table, line)
        row: ConfigRow | None
        if table == "key_set":
            account, project = self._accounts.get(key[0]), self._projects.get(key[1])
            row = self._key_sets.get((account.pk, project.pk if project else None, key[2])) if account else None
            row = None if key[1] and project is None else row
        else:
            by_name: dict[str, Mapping[str, ConfigRow]] = {
                "provider": self._providers,
                "account": self._accounts,
                "project": self._projects,
                "model": self._models,
                "alias": self._aliases,
                "prefix": self._prefixes,
            }
            row = by_name[table].get(key[0])
        if row is None or row.pk is None or not type(row)._base_manager.filter(pk=row.pk).exists():
            return
        try:
            row.delete()
        except ProtectedError as error:
            users = sorted(str(user) for user in error.protected_objects)
            more = f" and {len(users) - 3} more" if len(users) > 3 else ""
            self._say(line.place, f"it is still used by {', '.join(users[:3])}{more}; re-patch or remove those first")


def _given(line: msgspec.Struct, *leave_out: str) -> dict[str, Any]:
    """The fields that a line names."""
    skip = {"place", "absent", *leave_out}
    return {
        name: value
        for name in line.__struct_fields__
        if name not in skip and (value := getattr(line, name)) is not UNSET
    }


def _current(row: models.Model, name: str) -> Any:
    """A field's value now; of a foreign key to nothing, None instead of an exception."""
    field = row._meta.get_field(name)
    if field.is_relation and getattr(row, f"{name}_id") is None:
        return None
    return getattr(row, name)


def _same_end(row: Route, values: Mapping[str, Any]) -> bool:
    return bool(row.account_id == values["account"].pk and row.upstream_model == values["upstream_model"])


def _likeness(row: Route, values: Mapping[str, Any]) -> int:
    return sum(_current(row, name) == value for name, value in values.items())
