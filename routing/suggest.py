"""Names that somebody may have meant, out of those he may use (C-20). Pure.

Prefix matches come first, then names that contain the word, then names a few typing errors away. The work is bounded,
for anybody with a token can ask for nonsense as often as he likes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from routing.allow import Allowance, provider_of
from routing.snapshot import Snapshot

LIMIT: Final = 3
#: Names looked at, and names compared letter by letter, for one refusal.
_LOOKED_AT: Final = 5000
_COMPARED: Final = 60
_LONGEST: Final = 64


def suggestions(snapshot: Snapshot, allow: Allowance, asked: str) -> tuple[str, ...]:
    """Up to three names of models, or of providers where `asked` is a ref to an unknown one."""
    head, slash, rest = asked.partition("/")
    word = asked.lower()[:191]
    found = _near(word, _spellings(snapshot, allow))
    if len(found) < LIMIT and slash and rest and provider_of(snapshot, head) is None:
        providers = [(slug, slug) for slug in sorted(snapshot.providers) if snapshot.providers[slug].enabled]
        for slug in _near(head.strip().lower(), providers):
            if allow.permits(f"{slug}/{rest}"):
                found.append(f"{slug}/{rest}")
    if len(found) < LIMIT:
        found += [name for name in _near(word, _refs(snapshot, allow, word)) if name not in found]
    return tuple(found[:LIMIT])


def _spellings(snapshot: Snapshot, allow: Allowance) -> tuple[tuple[str, str], ...]:
    if allow.spellings is None:
        names = [name for name, entry in snapshot.models.items() if entry.enabled and allow.permits(name)]
        names += [
            alias
            for alias, name in snapshot.aliases.items()
            if allow.permits(name) and name in snapshot.models and snapshot.models[name].enabled
        ]
        allow.spellings = tuple((name.lower(), name) for name in sorted(names)[:_LOOKED_AT])
    return allow.spellings


def _refs(snapshot: Snapshot, allow: Allowance, word: str) -> list[tuple[str, str]]:
    """Refs to known models: of the provider that the word begins with, else of all, by their ids alone."""
    slug = provider_of(snapshot, word.partition("/")[0])
    start = "" if slug is None else f"{slug}/"
    known = islice(((ref, facts) for ref, facts in snapshot.facts.items() if ref.startswith(start)), _LOOKED_AT)
    return [
        ((ref if slug else facts.model).lower(), ref)
        for ref, facts in known
        if not snapshot.providers[facts.provider].deferred_to and allow.permits(ref)
    ]


def _near(word: str, names: Iterable[tuple[str, str]]) -> list[str]:
    """The best three of (lower-case name, name) pairs for a lower-case word."""
    if not word:
        return []
    names = list(names)
    found = [name for lower, name in names if lower.startswith(word) or (len(lower) > 2 and word.startswith(lower))]
    if len(found) < LIMIT:
        found += [name for lower, name in names if word in lower and name not in found[:LIMIT]]
    if len(found) < LIMIT and len(word) <= _LONGEST and (limit := _tolerance(len(word))):
        close = [pair for pair in names if abs(len(pair[0]) - len(word)) <= limit and pair[1] not in found]
        close.sort(key=lambda pair: (pair[0][:1] != word[:1], pair[0]))
        scored = [(distance(word, lower, limit), name) for lower, name in close[:_COMPARED]]
        found += [name for score, name in sorted(scored) if score <= limit]
    return found[:LIMIT]


def _tolerance(length: int) -> int:
    """Typing errors forgiven in a word of this length."""
    if length <= 2:
        return 0
    return 1 if length <= 5 else 2 if length <= 9 else 3


def distance(one: str, other: str, limit: int) -> int:
    """Edit distance (insert, delete, replace), or limit + 1 as soon as it must be greater."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, row = row, [i]
        for j, letter_of_other in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != letter_of_other)))
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)
