"""Provider keys from the environment into sealed rows, once per start, so that requests never read the environment.

Every provider in the database is looked at, through the account that bears its id; so are the accounts and key sets
that name a family of variables (AWS_*). A key whose variable holds another one now is replaced; one whose variable is
gone is kept and told, unless it is to be removed (`prune`). A live override follows the environment always. What people
entered is not touched, and neither is a variable of theirs.

Nobody watches the import at a start, so whoever wrote the database must not be able to steer it (R-SEC-04). A key is
sealed then only if the catalog's files name its variable for that very account, and only for the origins that the
catalog's templates and the environment give. All else waits for a person at a shell who says that the rows are right
(`rebind`): an address that was changed, a variable that a row names, a provider that is not in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from django.db.models import Prefetch

from keys import vault
from keys.environment import (
    Asked,
    Found,
    keys_of_pattern,
    keys_of_provider,
    prefix_of,
    stem_of,
    variables_of_pattern,
    variables_of_provider,
)
from keys.models import KeySet, ProviderKey
from keys.sealing import Unsealable
from keys.shipped import NOTHING, Shipped, importable, of_key_set
from keys.vault import BadKey
from providers.catalog import load
from providers.config import together
from providers.hosts import BadUrl
from providers.models import Account

AUTHOR: Final = "import_keys"
SOURCE: Final = "import:"
WAY_OUT: Final = "if it is right so, run `.venv/bin/python manage.py import_keys --rebind`"
_DEFAULT: Final = "default"


@dataclass
class ImportReport:
    """What was done, by the names of variables and accounts only: each line is for the operator's eyes."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    #: every variable that holds a key that is now sealed: a process may drop them from its environment
    names: set[str] = field(default_factory=set)

    @property
    def wrote(self) -> bool:
        """Was anything written?"""
        return bool(self.added or self.removed or self.changed)


class _Work(NamedTuple):
    """What one key set is to become."""

    key_set: KeySet
    label: str
    found: list[Found]
    account_variables: dict[str, str]
    set_variables: dict[str, str]
    rows: list[ProviderKey]
    #: rows that opened before any variable was filled
    opened: set[Any]
    add: list[tuple[int, Found]]
    move: list[tuple[ProviderKey, int, str, bool]]
    rebind: list[tuple[ProviderKey, Found]]
    remove: list[ProviderKey]

    @property
    def to_do(self) -> bool:
        return bool(self.account_variables or self.set_variables or self.add or self.move or self.rebind or self.remove)


def import_keys(environ: Mapping[str, str], *, rebind: bool = False, prune: bool = False) -> ImportReport:
    """Bring the imported keys in line with the environment, in one revision, or none if they are.

    `rebind`: take the rows' word for which variables are keys and where they may go, and seal keys for their
    account's present address where it has changed since they were imported. `prune`: remove the keys whose variables
    are gone. Raises providers.catalog.BadCatalog.
    """
    report = ImportReport()
    environ = importable(environ)
    shared = KeySet.objects.filter(project__isnull=True).prefetch_related("keys")
    accounts = Account.objects.select_related("provider").prefetch_related(
        Prefetch("key_sets", queryset=shared, to_attr="shared_sets")
    )
    work = [item for account in accounts for item in _of_account(account, environ, report, rebind=rebind)]
    for item in work:
        _part_with(item, report, prune=prune)
    todo = [item for item in work if item.to_do]
    if todo:
        with together(AUTHOR, "keys from the environment"):
            for item in todo:
                _do(item, report)
    refused = {line.split(" ", 1)[0] for line in report.refused}
    sealed = [found for item in work for found in item.found if found.name not in refused]
    report.names = {name for found in sealed for name in (found.name, *found.others)}
    return report


def _of_account(account: Account, environ: Mapping[str, str], report: ImportReport, *, rebind: bool) -> list[_Work]:
    provider = account.provider
    asked = Asked(
        slug=provider.slug,
        prefix=prefix_of(provider.slug, provider.env_prefix),
        env_keys=tuple(provider.env_keys),
        credential=provider.credential,
        variables={item["name"]: tuple(item.get("env") or ()) for item in provider.variables},
    )
    sets: list[KeySet] = account.shared_sets  # type: ignore[attr-defined]  # prefetched
    for key_set in sets:
        key_set.account = account
    by_pattern = [(key_set, stem_of(key_set.env_pattern)) for key_set in sets if stem_of(key_set.env_pattern)]
    stem = stem_of(account.env_pattern)
    if stem and not by_pattern:
        by_pattern = [(_default_set(account, sets), stem)]

    def trusted(key_set: KeySet) -> Shipped | None:
        return None if rebind else of_key_set(load(), account.name, provider.slug, key_set.name, environ)

    work = [
        _plan(
            key_set,
            keys_of_pattern(asked, stem, environ),
            {},
            _free(variables_of_pattern(asked, stem, environ), account, key_set),
            report,
            trusted=trusted,
        )
        for key_set, stem in by_pattern
    ]
    if account.name == provider.slug and not by_pattern:
        wanted = {
            name: found
            for name, found in variables_of_provider(asked, environ).items()
            if not account.variables.get(name)
        }
        work.append(
            _plan(_default_set(account, sets), keys_of_provider(asked, environ), wanted, {}, report, trusted=trusted)
        )
    return work


def _default_set(account: Account, sets: list[KeySet]) -> KeySet:
    """The account's shared set "default", which is saved only when something goes into it."""
    return next((key_set for key_set in sets if key_set.name == _DEFAULT), KeySet(account=account, name=_DEFAULT))


def _free(found: dict[str, tuple[str, str]], account: Account, key_set: KeySet) -> dict[str, tuple[str, str]]:
    """Those variables that nobody has set: the catalog's value gives way to the environment, an operator's does not."""
    catalogs = (account.catalog or {}).get("variables") or {}
    return {
        name: value
        for name, value in found.items()
        if not key_set.variables.get(name)
        and (not account.variables.get(name) or account.variables[name] == catalogs.get(name))
    }


def _plan(
    key_set: KeySet,
    found: list[Found],
    account_variables: dict[str, tuple[str, str]],
    set_variables: dict[str, tuple[str, str]],
    report: ImportReport,
    *,
    trusted: Callable[[KeySet], Shipped | None],
) -> _Work:
    """Compare what the environment gives one set with what the set holds. `trusted` None: the rows are, all of them."""
    account = key_set.account
    label = account.name if key_set.name == _DEFAULT else f"{account.name} / {key_set.name}"
    stored = list(key_set.keys.all()) if key_set.pk else []
    rows = [row for row in stored if row.source.startswith(SOURCE)]
    said = trusted(key_set) if found or account_variables or set_variables else NOTHING
    account_variables = _told(account_variables, said, label, report)
    set_variables = _told(set_variables, said, label, report)
    before = _origin(key_set)
    opened = {row.pk for row in rows if _opens(row, account, before)}
    fill = {name: value for name, (_, value) in (*account_variables.items(), *set_variables.items())}
    after = (
        _origin(KeySet(account=account, variables={**account.variables, **key_set.variables, **fill}))
        if fill
        else before
    )
    if not found and not rows:
        # Nothing of this set is ours: an address is completed only where no key hangs on it yet.
        set_variables = {}
        if stored or (account_variables and _others_hold_keys(account, key_set)):
            account_variables = {}
    elif after != before and (_entered(stored) or (account_variables and _others_hold_keys(account, key_set))):
        for name, (env_name, _) in (account_variables | set_variables).items():
            report.refused.append(f"{env_name} ({label}): setting {name} would make keys that people entered unusable")
        account_variables, set_variables, after = {}, {}, before
    held = {row.fingerprint: row for row in rows}
    work = _Work(
        key_set=key_set,
        label=label,
        found=found,
        account_variables={name: value for name, (_, value) in account_variables.items()},
        set_variables={name: value for name, (_, value) in set_variables.items()},
        rows=rows,
        opened=opened,
        add=[],
        move=[],
        rebind=[],
        remove=[],
    )
    wanted: set[str] = set()
    for number, item in enumerate(found):
        fingerprint = vault.fingerprint(item.secret)
        wanted.add(fingerprint)
        row = held.get(fingerprint)
        position = vault.IMPORTED_FROM + number
        may = said is None or (said.origins == after and said.names.issuperset((item.name, *item.others)))
        if row is None:
            if _fits(item, label, after, report) and (may or _refused(item, work, stored, after, report)):
                work.add.append((position, item))
            continue
        if (row.position, row.source, row.live) != (position, SOURCE + item.name, item.live):
            work.move.append((row, position, item.name, item.live))
        if not _opens(row, account, after):
            if said is None or (may and row.pk in opened):
                work.rebind.append((row, item))
            else:
                report.refused.append(
                    f"{item.name} ({label}): its key was sealed for another address; "
                    "`.venv/bin/python manage.py import_keys --rebind` seals it for the present one"
                )
    work.remove.extend(row for row in rows if row.fingerprint not in wanted)
    return work


def _part_with(work: _Work, report: ImportReport, *, prune: bool) -> None:
    """Of what the environment no longer holds, keep the keys whose variable is gone, after all others.

    A start from another shell must not take keys away without a word. A variable that holds another key now has
    replaced its own, and a live override is in force only as long as its variable is set.
    """
    given = {item.name for item in work.found}
    kept = [row for row in work.remove if not (prune or row.live or row.source.removeprefix(SOURCE) in given)]
    work.remove[:] = [row for row in work.remove if row not in kept]
    for number, row in enumerate(sorted(kept, key=lambda row: (row.position, row.created_at)), len(work.found)):
        name, position = row.source.removeprefix(SOURCE), vault.IMPORTED_FROM + number
        report.kept.append(f"{name} ({work.label})")
        if row.position != position:
            work.move.append((row, position, name, row.live))


def _do(work: _Work, report: ImportReport) -> None:
    key_set, account = work.key_set, work.key_set.account
    if work.account_variables:
        account.variables = {**account.variables, **work.account_variables}
        account.save(update_fields=["variables"])
        report.changed.extend(f"{name} of account {account.name}" for name in work.account_variables)
    if work.set_variables:
        key_set.variables = {**key_set.variables, **work.set_variables}
        report.changed.extend(f"{name} of {work.label}" for name in work.set_variables)
    if key_set.pk is None and work.add:
        key_set.save()
    elif key_set.pk is not None and work.set_variables:
        key_set.save(update_fields=["variables"])
    for row in work.remove:
        report.removed.append(f"{row.source.removeprefix(SOURCE)} ({work.label})")
        row.delete()
    for row, position, name, live in work.move:
        row.position, row.source, row.live = position, SOURCE + name, live
        row.save(update_fields=["position", "source", "live"])
        report.changed.append(f"{name} ({work.label})")
    for row, item in work.rebind:
        vault.replace_key(row, item.secret)
        report.changed.append(f"{item.name} ({work.label})")
    for position, item in work.add:
        vault.enter_key(key_set, item.secret, source=SOURCE + item.name, position=position, live=item.live)
        report.added.append(f"{item.name} ({work.label})")


def _told(
    variables: dict[str, tuple[str, str]], said: Shipped | None, label: str, report: ImportReport
) -> dict[str, tuple[str, str]]:
    """Those variables that the catalog fills so too: a row could ask for any secret of the process."""
    if said is None:
        return variables
    for name, (env_name, _) in variables.items():
        if name not in said.variables or said.variables[name][0] != env_name:
            report.refused.append(f"{env_name} ({label}): the catalog does not fill '{name}' from it; {WAY_OUT}")
    return {name: value for name, value in variables.items() if said.variables.get(name) == value}


def _refused(
    item: Found, work: _Work, stored: list[ProviderKey], bound_to: str | None, report: ImportReport
) -> Literal[False]:
    """Say that this key waits for a person, unless the set has it from elsewhere already."""
    fingerprint = vault.fingerprint(item.secret)
    if not any(row.fingerprint == fingerprint and _opens(row, work.key_set.account, bound_to) for row in stored):
        report.refused.append(
            f"{item.name} ({work.label}): its variable or the account's address is not the catalog's; {WAY_OUT}"
        )
    return False


def _fits(item: Found, label: str, bound_to: str | None, report: ImportReport) -> bool:
    """Can this key be sealed? If not, say why, by its variable's name."""
    try:
        vault.checked(item.secret)
        if bound_to is None:
            raise BadKey("the account's URL lacks a variable; set it and import again")
    except BadKey as error:
        report.refused.append(f"{item.name} ({label}): {error}")
        return False
    return True


def _origin(key_set: KeySet) -> str | None:
    try:
        return vault.origin(key_set)
    except BadUrl:
        return None


def _opens(row: ProviderKey, account: Account, origins: str | None) -> bool:
    """Does this key of a shared set of the account open, were it bound to these origins?"""
    if origins is None:
        return False
    try:
        vault.open_key(vault.entry(row), vault.Bound(account.pk, None, origins))
    except Unsealable:
        return False
    return True


def _entered(rows: list[ProviderKey]) -> bool:
    return any(not row.source.startswith(SOURCE) for row in rows)


def _others_hold_keys(account: Account, key_set: KeySet) -> bool:
    return ProviderKey.objects.filter(key_set__account=account).exclude(key_set=key_set.pk).exists()
