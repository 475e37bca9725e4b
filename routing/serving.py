"""Could this place serve a request, and if not, why: one answer for requests, `explain`, doctor, admin. Pure.

It is what a request would meet after `resolve`: the family must speak the dialect, the credential must have a signer,
a key must be there if one is needed, and the address of that key's set must be whole, allowed and the one that the key
was sealed for. Each asker brings the keys: a request those of the pool, which rest at times, the others those that
`keys_of` opens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from keys.entries import KeyEntry, KeySetEntry
from keys.order import Candidate as Key
from keys.order import in_order, shared_set
from keys.origins import allows
from providers.credentials import SCHEMES
from providers.egress import check_url
from providers.families import FAMILIES
from providers.hosts import BadUrl, UnfilledVariable, base_url, body_members, variables_of
from routing.candidates import Candidate, of_route, why_dropped
from routing.fleet import fleet
from routing.snapshot import RouteEntry, Snapshot

#: Why a key does not open, or nothing: `keys.vault.why_closed`, where the ring is at hand.
Closed = Callable[[KeyEntry, KeySetEntry], str]


class Keys(NamedTuple):
    """What there is to try a candidate with: the keys that may be used, in order; how many others do not open, by
    reason; whether there are none because all rest; why others have no access token, where tokens are fetched."""

    usable: Sequence[Key]
    closed: Mapping[str, int] = {}
    resting: bool = False
    without_token: str = ""


class Reason(NamedTuple):
    """`what`: a switch and a missing signer are not mended as a key or an address is, which operators enter."""

    what: Literal["off", "dialect", "credential", "key", "address", "worker"]
    text: str


#: How the reason ends where keys are there and all of them rest.
RESTING: Final = "has only keys that rest now"
#: What a route lacks that only waits to be set up.
ENTERED: Final = frozenset({"key", "address", "worker"})
#: Of a candidate that takes none.
NO_KEYS: Final = Keys(())


def keys_of(snapshot: Snapshot, candidate: Candidate, project_id: int | None, why_closed: Closed) -> Keys:
    """The keys of a project's requests for this candidate; None: of a project without keys of its own."""
    usable: list[Key] = []
    closed: Counter[str] = Counter()
    for key in in_order(snapshot.key_sets.get(candidate.account.id, ()), project_id, candidate.key_set_id):
        reason = why_closed(key.key, key.key_set)
        if reason:
            closed[reason] += 1
        else:
            usable.append(key)
    return Keys(usable, closed)


def reasons(snapshot: Snapshot, candidate: Candidate, dialect: str, keys: Keys) -> Iterator[Reason]:
    """Everything that keeps a candidate of the resolver from serving a request in this dialect."""
    family = FAMILIES.get(candidate.family)
    if family is None or not family.serves(dialect):
        yield Reason("dialect", f"requests of the family {candidate.family} cannot be sent yet")
    if candidate.fleet:
        lack = fleet.why_not(snapshot, candidate.account.id, candidate.upstream_model)
        if lack is not None:
            yield Reason("worker", f"account {candidate.account.name}: {lack}")
        return
    if SCHEMES.get(candidate.provider.credential) is None:
        yield Reason("credential", f"the credential {candidate.provider.credential} cannot be used yet")
    if candidate.provider.needs_key and not keys.usable:
        yield Reason("key", f"account {candidate.account.name} {_lack(keys)}")
    unreachable = _unreachable(snapshot, candidate, keys)
    if unreachable:
        yield Reason("address", unreachable)


def why_not(snapshot: Snapshot, candidate: Candidate, dialect: str, keys: Keys) -> str | None:
    """The first of `reasons`, or None: it could serve. For every request: found once per snapshot and place."""
    usable = keys.usable
    if candidate.fleet or (not usable and candidate.provider.needs_key):
        return _first(snapshot, candidate, dialect, keys)
    known = ("why-not", dialect, candidate.account.id, candidate.family, usable[0].key_set.id if usable else None)
    try:
        found: str | None = snapshot.memo[known]
    except KeyError:
        found = snapshot.memo[known] = _first(snapshot, candidate, dialect, keys)
    return found


def _first(snapshot: Snapshot, candidate: Candidate, dialect: str, keys: Keys) -> str | None:
    return next((reason.text for reason in reasons(snapshot, candidate, dialect, keys)), None)


def of_any_request(snapshot: Snapshot, route: RouteEntry, dialect: str, why_closed: Closed) -> list[Reason]:
    """Why a route could serve nobody; empty if it could serve at least one project.

    Where projects have keys of their own, that may be one of them; the reasons told are those of all others.
    """
    candidate = of_route(snapshot, route, "", dialect)
    sets = snapshot.key_sets.get(candidate.account.id, ())
    dropped = why_dropped(candidate.provider, candidate.account, route)
    found = list(reasons(snapshot, candidate, dialect, keys_of(snapshot, candidate, None, why_closed)))
    if dropped is not None:
        return [Reason("off", dropped), *found]
    if found:
        for project_id in sorted({key_set.project_id for key_set in sets if key_set.project_id is not None}):
            if why_not(snapshot, candidate, dialect, keys_of(snapshot, candidate, project_id, why_closed)) is None:
                return []
    return found


def key_set_in_use(snapshot: Snapshot, candidate: Candidate, keys: Keys) -> KeySetEntry | None:
    """The set whose variables fill the URL: that of the key tried first.

    Where a key is needed and none is there, the set that it would be entered into; a request without a key has none.
    """
    if keys.usable:
        return keys.usable[0].key_set
    if not candidate.provider.needs_key:
        return None
    return shared_set(snapshot.key_sets.get(candidate.account.id, ()), candidate.key_set_id)


def not_allowed(url: str, private: bool) -> str:
    """Why nothing would be sent to this URL, or nothing: plain HTTP and private addresses must be allowed first."""
    reason = check_url(url, private)
    if reason is None:
        return ""
    off = " while the account's private_network is off" if check_url(url, True) is None else ""
    return f"nothing is sent to {url}{off} ({reason})"


def to_enter_again(closed: Mapping[str, int]) -> str:
    """One sentence about keys that do not open."""
    count = sum(closed.values())
    return f"{count} key{'' if count == 1 else 's'} must be entered again ({', '.join(sorted(closed))})"


def _lack(keys: Keys) -> str:
    if keys.resting:
        return RESTING
    if keys.without_token:
        return f"has no access token now: {keys.without_token}"
    return f"has no key that opens: {to_enter_again(keys.closed)}" if keys.closed else "has no key"


def _unreachable(snapshot: Snapshot, candidate: Candidate, keys: Keys) -> str:
    """What is wrong with the URL, or nothing."""
    account = candidate.account
    used = key_set_in_use(snapshot, candidate, keys)
    own = used.variables if used is not None else {}
    try:
        url = base_url(candidate.provider, account, own, candidate.family)
        if candidate.family in FAMILIES:
            body_members(candidate.family, variables_of(candidate.provider, account, own))
    except UnfilledVariable as error:
        return f"account {account.name} lacks the variable '{error.name}'"
    except BadUrl as error:
        return f"account {account.name}: {error}"
    reason = not_allowed(url, account.private_network)
    if not reason and keys.usable and not allows(keys.usable[0].key_set.origin, url):
        reason = "the address is not one that its keys were sealed for"
    return f"account {account.name}: {reason}" if reason else ""
