"""What a name is, and whether a project may use it: canonical identities, and the allowlist compiled to them. Pure.

An allowlist is asked about identities only, so a model that is not on it is refused under each of its spellings:
alias, provider alias, upper-case provider, prefix, stripped prefix, model alias at the provider.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from providers.entries import FactsEntry, ProviderEntry
from routing.snapshot import ModelEntry, PrefixEntry, Snapshot

_WILD: Final = re.compile(r"[*?]")


class Known(msgspec.Struct, frozen=True, gc=False):
    """The tables that tell what a name is. Not the snapshot itself: it keeps allowances, and a cycle would leak it."""

    models: dict[str, ModelEntry]
    providers: dict[str, ProviderEntry]
    prefixes: tuple[PrefixEntry, ...]
    facts: dict[str, FactsEntry]
    fact_aliases: dict[str, str]


class Allowance(msgspec.Struct, gc=False):
    """A compiled allowlist. `models` and `spellings` are filled when somebody first asks for them."""

    everything: bool
    names: frozenset[str]
    globs: re.Pattern[str] | None
    known: Known
    models: tuple[ModelEntry, ...] | None = None
    #: (lower-case name, name) of all public names and aliases that may be used, for suggestions
    spellings: tuple[tuple[str, str], ...] | None = None

    def permits(self, identity: str) -> bool:
        """May this project use the model with this identity?"""
        if self.everything or identity in self.names:
            return True
        if self.globs is None:
            return False
        if self.globs.match(identity):
            return True
        bare = _bare(self.known, identity)
        return bare is not None and self.globs.match(bare) is not None


def _bare(known: Known, identity: str) -> str | None:
    """`gpt-4o` for `openai/gpt-4o` if the prefix table sends the one to the other, else None."""
    slug, slash, model = identity.partition("/")
    if not slash or identity in known.models or model in known.models:
        return None
    return model if by_prefix(known, model) == (slug, model) else None


def provider_of(snapshot: Snapshot, name: str) -> str | None:
    """The slug of a provider that is named by slug or alias, whatever the case and the white space around it."""
    return snapshot.provider_names.get(name.strip().lower())


def canonical(snapshot: Snapshot | Known, slug: str, model: str) -> str:
    """The model id that a provider's other ids stand for (R-29)."""
    key = f"{slug}/{model}"
    if key in snapshot.facts:
        return model
    known = snapshot.fact_aliases.get(key)
    return model if known is None else known[len(slug) + 1 :]


def by_prefix(snapshot: Snapshot | Known, name: str) -> tuple[str, str] | None:
    """(provider slug, model id) by the prefix table: the longest match, case counts (F-09)."""
    for rule in snapshot.prefixes:
        if name.startswith(rule.prefix):
            model = name[len(rule.prefix) :] if rule.strip else name
            if model and rule.provider in snapshot.providers:
                return rule.provider, canonical(snapshot, rule.provider, model)
    return None


def ref_of(snapshot: Snapshot, name: str) -> tuple[str, str] | None:
    """(provider slug, model id) of a name that is no public one: `provider/model`, else the prefix table."""
    head, slash, model = name.partition("/")
    if slash:
        slug = provider_of(snapshot, head)
        model = model.strip()
        if slug is not None and model:
            return slug, canonical(snapshot, slug, model)
    return by_prefix(snapshot, name)


def identity_of(snapshot: Snapshot, name: str) -> str | None:
    """The canonical identity that a name leads to: a public name or `provider/model`; None for an unknown name."""
    if name in snapshot.models:
        return name
    if name in snapshot.aliases:
        return snapshot.aliases[name]
    ref = ref_of(snapshot, name)
    return None if ref is None else f"{ref[0]}/{ref[1]}"


def compile_allow(snapshot: Snapshot, entries: Iterable[str]) -> Allowance:
    """An allowlist as identities and globs. None or only blanks in it means that everything is allowed (M-03)."""
    known = Known(snapshot.models, snapshot.providers, snapshot.prefixes, snapshot.facts, snapshot.fact_aliases)
    wanted = [entry.strip() for entry in entries if entry.strip()]
    if not wanted or "*" in wanted:
        return Allowance(True, frozenset(), None, known)
    names: set[str] = set()
    globs: list[str] = []
    for entry in wanted:
        if _WILD.search(entry):
            globs.append(_canonical_glob(snapshot, entry))
        else:
            names.add(identity_of(snapshot, entry) or entry)
    pattern = re.compile("|".join(map(fnmatch.translate, dict.fromkeys(globs)))) if globs else None
    return Allowance(False, frozenset(names), pattern, known)


def _canonical_glob(snapshot: Snapshot, entry: str) -> str:
    """`Z.AI/*` is `zai/*`; a prefix that is stripped stands for its provider."""
    head, slash, rest = entry.partition("/")
    if slash and not _WILD.search(head):
        slug = provider_of(snapshot, head)
        if slug is not None:
            return f"{slug}/{rest}"
    for rule in snapshot.prefixes:
        if rule.strip and entry.startswith(rule.prefix):
            return f"{rule.provider}/{entry[len(rule.prefix) :]}"
    return entry


def allowance(snapshot: Snapshot, project_id: int) -> Allowance:
    """The project's compiled allowlist, made on first use of each snapshot."""
    key = ("allow", project_id)
    found: Allowance | None = snapshot.memo.get(key)
    if found is None:
        preference = snapshot.preferences.get(project_id)
        found = compile_allow(snapshot, preference.allow if preference else ())
        snapshot.memo[key] = found
    return found


def allowed_models(snapshot: Snapshot, project_id: int) -> tuple[ModelEntry, ...]:
    """The enabled public models that the project may use, by name."""
    allow = allowance(snapshot, project_id)
    if allow.models is None:
        allow.models = tuple(
            entry for name, entry in sorted(snapshot.models.items()) if entry.enabled and allow.permits(name)
        )
    return allow.models
