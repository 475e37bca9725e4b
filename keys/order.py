"""Which keys of an account a request is tried with, and in what order (M-08 to M-11). Pure.

The pool opens them and lets them rest; whoever asks whether a route could serve looks at the same list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from keys.entries import KeyEntry, KeySetEntry

DEFAULT_SET: Final = "default"


class Candidate(NamedTuple):
    """A key that may be tried, and the set whose variables and origin go with it."""

    key: KeyEntry
    key_set: KeySetEntry


def in_order(sets: Sequence[KeySetEntry], project_id: int | None, key_set_id: int | None) -> list[Candidate]:
    """Every candidate of an account's sets for one project: its own, then the shared ones (R-37, F-25).

    The route's set, if it names one, is the shared part; else the shared set "default", else the only shared one.
    Of the project's own sets, that of the same name comes before its "default". No other project's set is ever used.
    """
    own = [key_set for key_set in sets if project_id is not None and key_set.project_id == project_id]
    named = shared_set(sets, key_set_id)
    if key_set_id is not None and named is None:
        named = next((key_set for key_set in own if key_set.id == key_set_id), None)
    name = named.name if named is not None else DEFAULT_SET
    chosen = [key_set for key_set in own if key_set.name == name]
    if name != DEFAULT_SET:
        chosen += [key_set for key_set in own if key_set.name == DEFAULT_SET]
    if named is not None and named not in chosen:
        chosen.append(named)
    usable = [Candidate(key, key_set) for key_set in chosen for key in key_set.keys if key.enabled]
    live = [candidate for candidate in usable if candidate.key.live]
    if live:
        return live[:1]
    first: dict[str, Candidate] = {}
    for candidate in usable:
        first.setdefault(candidate.key.fingerprint, candidate)
    return list(first.values())


def shared_set(sets: Iterable[KeySetEntry], key_set_id: int | None) -> KeySetEntry | None:
    """The shared set in use: the one that a route names, else "default", else the only one; None if there is none."""
    shared = [key_set for key_set in sets if key_set.project_id is None]
    if key_set_id is not None:
        return next((key_set for key_set in shared if key_set.id == key_set_id), None)
    default = next((key_set for key_set in shared if key_set.name == DEFAULT_SET), None)
    return shared[0] if default is None and len(shared) == 1 else default
