"""What upstreams list, beside what is mapped to them: found models, and routes whose model has vanished.

Nothing is written: a list from elsewhere decides nothing here, and operators re-patch with it in view. Lists are asked
for with the account's own key at the origin that it was sealed for, and through the transport like every request.

Asked unless they are named: accounts with a shared key, those of providers that need none, and a server on the own
network with an optional key only if it has one (M-37). A server on the own network that does not run is no error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Final, Literal

import httpx
import msgspec

from keys.minted import NoToken, minted
from keys.order import in_order
from keys.pool import Lease, pool
from keys.sealing import Unsealable
from providers import transport
from providers.credentials import CannotSign, Unsigned, sign
from providers.entries import AccountEntry, ProviderEntry
from providers.exchange import Call, Outgoing
from providers.families import FAMILIES
from providers.hosts import BadUrl, base_url, variables_of
from providers.model_lists import (
    MOST_BYTES,
    BadList,
    Listing,
    Source,
    is_judged,
    joined,
    list_url,
    read_list,
    sources_of,
)
from providers.quirks import as_signed, of_family
from routing.snapshot import RouteEntry, Snapshot

#: Seconds for one list; lists that are asked for at once.
PATIENCE: Final = 15.0
AT_ONCE: Final = 8

State = Literal["listed", "not running", "not asked", "failed"]


class Mapped(msgspec.Struct, frozen=True):
    """A route of a public model."""

    public: str
    upstream: str


class Found(msgspec.Struct, frozen=True):
    """What was found at one account. `why` is said of every state but "listed".

    `new`: listed, and no route leads there. `vanished`: routes to models that are not listed any more; none are told
    where the list is not whole.
    """

    account: str
    provider: str
    state: State
    why: str = ""
    listed: tuple[str, ...] = ()
    refused: int = 0
    whole: bool = True
    mapped: tuple[Mapped, ...] = ()
    new: tuple[str, ...] = ()
    vanished: tuple[Mapped, ...] = ()


class UnknownAccount(LookupError):
    """There is no account of this name."""


class ListAsk(msgspec.Struct, frozen=True):
    """One account's list to ask for, which may come in several. `key`: the id of the key that it is asked with."""

    account: AccountEntry
    provider: ProviderEntry
    requests: tuple[Outgoing, ...]
    key: str = ""


def sync(snapshot: Snapshot, names: Collection[str] = ()) -> list[Found]:
    """Ask the accounts of these names, or all that can be asked without a word. Raises UnknownAccount.

    Blocking: for commands, tasks and pages, never on an event loop.
    """
    asks: list[ListAsk] = []
    found: dict[str, Found] = {}
    for account in _accounts(snapshot, names):
        made = prepare(snapshot, account, named=bool(names))
        if isinstance(made, ListAsk):
            asks.append(made)
        elif made is not None:
            found[account.name] = made
    for ask, answer in zip(asks, asyncio.run(_ask_all(asks)), strict=True):
        found[ask.account.name] = _found(snapshot, ask, answer)
    return [found[name] for name in sorted(found)]


def _accounts(snapshot: Snapshot, names: Collection[str]) -> Iterable[AccountEntry]:
    for name in names:
        if name not in snapshot.account_ids:
            raise UnknownAccount(f"there is no account '{name}'")
    wanted = [snapshot.account_ids[name] for name in names] if names else snapshot.accounts
    return [snapshot.accounts[pk] for pk in wanted]


def prepare(snapshot: Snapshot, account: AccountEntry, *, named: bool, turn: int = 0) -> ListAsk | Found | None:
    """The request for an account's list, or why there is none; None: nobody asked for it. `turn`: which key."""
    provider = snapshot.providers[account.provider]

    def not_asked(why: str) -> Found | None:
        return Found(account.name, provider.slug, "not asked", why) if named else None

    family = account.family or provider.family
    sources = sources_of(provider, family)
    if not sources:
        return not_asked(f"its API ({family}) has no list of the models that can be called")
    if not (account.enabled and provider.enabled):
        return not_asked("it is switched off")
    try:
        lease = _lease(snapshot, account, provider, turn)
    except (Unsealable, NoToken) as problem:
        return Found(account.name, provider.slug, "failed", f"its key cannot be used here: {problem}")
    if lease is None and provider.needs_key:
        return not_asked("it has no shared key")
    if lease is None and account.private_network and provider.env_keys and not named:
        return None  # the key is what opts in to looking for it
    try:
        requests = tuple(_request(account, provider, family, lease, source) for source in sources)
    except (BadUrl, CannotSign) as problem:
        return Found(account.name, provider.slug, "failed", f"{problem}")
    return ListAsk(account, provider, requests, lease.key.id if lease is not None else "")


def _lease(snapshot: Snapshot, account: AccountEntry, provider: ProviderEntry, turn: int) -> Lease | None:
    """One of the account's shared keys, or the access token that stands for it. Raises Unsealable, NoToken."""
    keys = in_order(snapshot.key_sets.get(account.id, ()), None, None)
    return minted.exchanged(provider.credential, pool.lease(keys[turn % len(keys)])) if keys else None


def _base(account: AccountEntry, provider: ProviderEntry, lease: Lease | None) -> str:
    if lease is not None and lease.api and not account.base_url:
        return lease.api
    variables = lease.key_set.variables if lease is not None else {}
    return base_url(provider, account, variables, account.family or provider.family)


def _request(
    account: AccountEntry, provider: ProviderEntry, family: str, lease: Lease | None, source: Source
) -> Outgoing:
    """The signed request. Raises BadUrl, CannotSign."""
    base = _base(account, provider, lease)
    url = list_url(base, family, source)
    # A key that may go to a region of AWS's may go to its control plane.
    if lease is not None and not lease.may_go(base if source.control else url):
        raise BadUrl("the list's address is not one that the account's keys were sealed for")
    variables = variables_of(provider, account, lease.key_set.variables if lease is not None else {})
    headers = [
        ("accept", "application/json"),
        ("user-agent", "jackfield"),
        *FAMILIES[family].headers,
        *(lease.headers if lease is not None else ()),
    ]
    signed_by = as_signed(provider, of_family(provider.quirks, {}, family))
    unsigned = Unsigned(signed_by, "GET", url, headers, b"", variables)
    url, headers = sign(unsigned, lease.secret if lease is not None else None)
    return Outgoing("GET", url, headers, b"", Call(account.private_network, account.timeouts))


async def _ask_all(asks: list[ListAsk]) -> list[Listing | Exception]:
    room = asyncio.Semaphore(AT_ONCE)
    try:
        return await asyncio.gather(*(_ask(ask, room) for ask in asks))
    finally:
        await transport.aclose()


async def _ask(ask: ListAsk, room: asyncio.Semaphore) -> Listing | Exception:
    """One list, or why there is none."""
    async with room:
        try:
            async with asyncio.timeout(PATIENCE):
                return joined([await _read(request) for request in ask.requests])
        except (TimeoutError, httpx.HTTPError, BadList) as problem:
            return problem


async def _read(request: Outgoing) -> Listing:
    response = await transport.current().handle_async_request(request)
    try:
        if response.status_code != 200:
            # What an upstream says of its refusal is its own text: the status is enough.
            raise BadList(f"it answered {response.status_code}")
        parts, size = [], 0
        async for part in response.stream:  # type: ignore[union-attr]  # async here
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                break
        return read_list(b"".join(parts))
    finally:
        await response.aclose()


def _found(snapshot: Snapshot, ask: ListAsk, answer: Listing | Exception) -> Found:
    account, provider = ask.account, ask.provider
    if type(answer) is httpx.ConnectError and account.private_network:  # not its kinds: TLS, names, refused addresses
        return Found(account.name, provider.slug, "not running", "nothing listens at its address")
    if isinstance(answer, TimeoutError | httpx.TimeoutException):
        return Found(account.name, provider.slug, "failed", "it did not answer in time")
    if isinstance(answer, Exception):
        return Found(account.name, provider.slug, "failed", str(answer))
    mapped = {
        Mapped(model.name, route.upstream_model): _ids(route, provider)
        for model in snapshot.models.values()
        for route in model.routes
        if route.account_id == account.id
    }
    listed = {id for name in answer.names for id in _spellings(name)}
    used = {id for ids in mapped.values() for id in ids}
    return Found(
        account.name,
        provider.slug,
        "listed",
        listed=answer.names,
        refused=answer.refused,
        whole=answer.whole,
        mapped=tuple(mapped),
        new=tuple(name for name in answer.names if used.isdisjoint(_spellings(name))),
        vanished=tuple(route for route, ids in mapped.items() if _is_gone(ids, listed)) if answer.whole else (),
    )


def _is_gone(ids: set[str], listed: set[str]) -> bool:
    return listed.isdisjoint(ids) and all(map(is_judged, ids))


def _ids(route: RouteEntry, provider: ProviderEntry) -> set[str]:
    """What a route's model may be called in the upstream's list."""
    prefix = route.quirks.get("strip_model_prefix") or provider.quirks.get("strip_model_prefix") or ""
    return {route.upstream_model, route.upstream_model.removeprefix(str(prefix))}


def _spellings(name: str) -> set[str]:
    """A listed name, and the shorter one that means it: Ollama's `latest` need not be said."""
    return {name, name.removesuffix(":latest")}
