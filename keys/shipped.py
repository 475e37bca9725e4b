"""What the shipped catalog says of an account: the variables that hold its keys, and the origins these may go to. Pure.

The rows of the database say the same, and more; but whoever writes the database writes them too. What happens without
anybody asking for it, as the import at a start, takes its orders from the catalog's files and the environment alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from keys.environment import (
    Asked,
    keys_of_pattern,
    keys_of_provider,
    stem_of,
    variables_of_pattern,
    variables_of_provider,
)
from keys.origins import bound_origins, templates_of
from providers.catalog.forms import Catalog, CatalogAccount, CatalogKeySet, CatalogProvider
from providers.hosts import BadUrl

_DEFAULT: Final = "default"
#: Variables of the process itself. No import reads one, whatever a row or a catalog says.
_OF_THE_PROCESS: Final = frozenset({"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"})


class Shipped(NamedTuple):
    """What holds for one key set. `names`: set variables that hold its keys; `variables`: as environment.py finds
    them; `origins`: what its keys are bound to, None where the address is not complete."""

    names: frozenset[str]
    variables: dict[str, tuple[str, str]]
    origins: str | None


NOTHING: Final = Shipped(frozenset(), {}, None)


def importable(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what the process is configured by."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _OF_THE_PROCESS and (not name.startswith("JACKFIELD_") or name.startswith("JACKFIELD_LIVE_"))
    }


def of_key_set(catalog: Catalog, account: str, provider: str, key_set: str, environ: Mapping[str, str]) -> Shipped:
    """What the catalog gives the account's shared set of this name; NOTHING for one that it does not know."""
    try:
        entry = catalog.account(account)
        maker = catalog.provider(entry.provider)
    except KeyError:
        return NOTHING
    if maker.id != provider:
        return NOTHING
    asked = Asked(
        slug=maker.id,
        prefix=maker.rotation_prefix,
        env_keys=maker.env_keys,
        credential=maker.credential,
        variables={variable.name: variable.env for variable in maker.variables},
    )
    stems = _stems(entry)
    if key_set in stems:
        found = keys_of_pattern(asked, stems[key_set], environ)
        variables = variables_of_pattern(asked, stems[key_set], environ)
    elif not stems and entry.name == maker.id and key_set == _DEFAULT:
        found = keys_of_provider(asked, environ)
        variables = variables_of_provider(asked, environ)
    else:
        return NOTHING
    names = frozenset(name for item in found for name in (item.name, *item.others))
    return Shipped(names, variables, _origins(maker, entry, key_set, variables))


def _stems(entry: CatalogAccount) -> dict[str, str]:
    """Key set -> stem of its variables, for an account with families of its own."""
    stems = {key_set.name: stem_of(key_set.env_pattern) for key_set in entry.key_sets if stem_of(key_set.env_pattern)}
    if not stems and stem_of(entry.env_pattern):
        stems = {_DEFAULT: stem_of(entry.env_pattern)}
    return stems


def _origins(
    maker: CatalogProvider, entry: CatalogAccount, key_set: str, variables: Mapping[str, tuple[str, str]]
) -> str | None:
    of_set = next((known for known in entry.key_sets if known.name == key_set), CatalogKeySet())
    values = {variable.name: variable.default for variable in maker.variables if variable.default}
    values.update(entry.variables)
    values.update(of_set.variables)
    values.update((name, value) for name, (_, value) in variables.items())
    try:
        return bound_origins(templates_of(maker.base_url, maker.families, "", entry.family or maker.family), values)
    except BadUrl:
        return None
