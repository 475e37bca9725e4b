"""The origins a key set's keys may be sent to, which are part of their seals (R-SEC-04). Pure.

An account has one origin, or a few where its provider serves its API families from several hosts. Whoever changes a
host, in the admin or past it, makes the keys unusable until they are entered again: no key follows to a new address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from providers.entries import AccountEntry, ProviderEntry
from providers.hosts import BadUrl, UnfilledVariable, fill, origin_of, variables_of

#: The part of a URL template that decides the origin: scheme and authority, or a variable that holds a whole URL.
#: Stands for any region in a vendor's host.
ANY_REGION: Final = "*"
_REGIONAL: Final = re.compile(r"(https://)\{location\}(-[a-z0-9-]+(?:\.[a-z0-9-]+)+)")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_HEAD: Final = re.compile(r"\{[a-z][a-z0-9_]*\}|[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def bound_origins(templates: Iterable[str], values: Mapping[str, str]) -> str:
    """The sorted origins of URL templates, one space between two. The first template is the one in use.

    Variables of the path do not matter. Raises UnfilledVariable or BadUrl if the first has no origin; another one
    without is left out, since nothing can be sent there.
    """
    found: set[str] = set()
    for number, template in enumerate(templates):
        try:
            head = _HEAD.match(template)
            if head is None:
                raise UnfilledVariable("base_url") if not template else BadUrl("the base URL names no host")
            found.add(origin_of(fill(head[0], values)))
        except BadUrl:
            if number == 0:
                raise
    if not found:
        raise UnfilledVariable("base_url")
    return " ".join(sorted(found))


def templates_of(base_url: str, families: Mapping[str, str], own_url: str, own_family: str) -> tuple[str, ...]:
    """The URL templates of an account: its own, else its provider's, the family it uses first.

    A vendor's hosts that differ in nothing but the region are one more, with any region in it: a route may name
    another one than its account does.
    """
    if own_url:
        return (own_url,)
    in_use = families.get(own_family) or base_url
    found = (in_use, *(url for url in (base_url, *families.values()) if url and url != in_use))
    regional = {f"{match[1]}{ANY_REGION}{match[2]}" for url in found if (match := _REGIONAL.match(url))}
    return (*found, *sorted(regional))


def origin(provider: ProviderEntry, account: AccountEntry, variables: Mapping[str, str]) -> str:
    """What keys of this account are bound to, `variables` being the key set's. Raises UnfilledVariable or BadUrl."""
    return bound_origins(
        templates_of(provider.base_url, provider.families, account.base_url, account.family or provider.family),
        variables_of(provider, account, variables),
    )


@lru_cache(maxsize=8192)
def allows(bound: str, url: str) -> bool:
    """May a key bound to these origins be sent to this URL? Asked before every request, so answers are kept."""
    try:
        asked = origin_of(url)
    except BadUrl:
        return False
    return any(asked == known or _is_region_of(known, asked) for known in bound.split(" "))


def _is_region_of(known: str, asked: str) -> bool:
    """Whether an origin is one of a vendor's regional ones: any label, but no more labels, stands for the region."""
    before, region, after = known.partition(ANY_REGION)
    if not region or not asked.startswith(before) or not asked.endswith(after):
        return False
    return _LABEL.fullmatch(asked[len(before) : len(asked) - len(after)]) is not None
