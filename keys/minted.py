"""Access tokens that stand for stored keys: in this process's memory only, fetched in the background (C-25, C-26).

`routing.minting` fetches them; a request looks one up and never waits for one. A token belongs to an account and the
fingerprint of the key it was had for, which a lease has verified before it is asked for here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from keys.order import Candidate
from keys.pool import KeyPool, Lease
from keys.pool import pool as the_pool
from keys.sealing import Unsealable
from providers.credentials import EXCHANGED, held, is_exchanged
from providers.credentials.request import Grant
from providers.secrets import Secret

#: Seconds of life that a token must have left to be sent: the request has to reach its upstream.
LEAST: Final = 5.0

Place = tuple[int, str]


class NoToken(Exception):
    """There is no access token for a key now. The text says why and holds no secret."""


def _nobody() -> None:
    """Nobody fetches tokens in this process."""


class Minted:
    """One per process. Every method is plain, quick and safe to call from any thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        #: tells who fetches tokens that there is something to do
        self._wake: Callable[[], None] = _nobody
        #: tokens that an upstream has refused, until they are told to who fetches
        self._refused: dict[Place, Secret] = {}
        self._grants: dict[Place, Grant] = {}
        #: why the last try failed
        self._problems: dict[Place, str] = {}

    def exchanged(self, scheme: str, lease: Lease) -> Lease:
        """What to sign with: the key itself, or the access token that it was exchanged for. Raises NoToken."""
        if not is_exchanged(scheme, lease.secret):
            return lease
        place = _place(lease)
        grant = self._grants.get(place) or held(scheme, lease.secret)
        if grant is not None and grant.expires_at - self.clock() > LEAST:
            return lease._replace(secret=grant.token, api=grant.api, headers=grant.headers)
        raise NoToken(self._problems.get(place) or "it has not been fetched yet")

    def with_token(
        self, scheme: str, keys: Sequence[Candidate], pool: KeyPool = the_pool
    ) -> tuple[Sequence[Candidate], str]:
        """The keys that could be signed with now; and why not, of the first that has no access token.

        All of them where nobody fetches tokens in this process: it cannot know.
        """
        if scheme not in EXCHANGED or not self.fetched_here:
            return keys, ""
        able, lack = [], ""
        for key in keys:
            try:
                self.exchanged(scheme, pool.lease(key))
            except NoToken as problem:
                lack = lack or str(problem)
            except Unsealable:
                pass  # its own fault, which is told elsewhere
            else:
                able.append(key)
        return able, lack

    def refused(self, lease: Lease) -> None:
        """An upstream answered 401 to what was leased. If that is the token kept for its key, another is fetched."""
        place = _place(lease)
        grant = self._grants.get(place)
        if grant is not None and grant.token is lease.secret:
            self._refused[place] = grant.token
            self._wake()

    def take_refused(self) -> dict[Place, Secret]:
        """The tokens refused since the last call."""
        return {place: self._refused.pop(place) for place in list(self._refused)}

    @property
    def fetched_here(self) -> bool:
        """Does this process fetch tokens?"""
        return self._wake is not _nobody

    def fetched_by(self, wake: Callable[[], None] | None) -> None:
        """Who fetches tokens, and how to tell them; None: nobody any more."""
        self._wake = wake or _nobody

    def keep(self, place: Place, grant: Grant) -> None:
        """A token that has just been fetched."""
        self._grants[place] = grant
        self._problems.pop(place, None)

    def failed(self, place: Place, problem: str) -> bool:
        """A try that failed; what was fetched before stays as long as it lives. False: it is the same as the last."""
        told, self._problems[place] = self._problems.get(place), problem
        return told != problem

    def forget_others(self, places: set[Place]) -> None:
        """Drop what belongs to keys that are no longer there."""
        for table in (self._grants, self._problems, self._refused):
            for place in [place for place in list(table) if place not in places]:
                table.pop(place, None)

    def problems(self, account_id: int) -> list[str]:
        """Why tokens for this account's keys could not be fetched at the last try."""
        return sorted({text for (owner, _), text in list(self._problems.items()) if owner == account_id})

    def failing(self) -> list[tuple[int, str]]:
        """Each account whose last try failed, and why."""
        return sorted({(owner, text) for (owner, _), text in list(self._problems.items())})


def _place(lease: Lease) -> Place:
    return lease.key_set.account_id, lease.key.fingerprint


#: The tokens of this process.
minted = Minted()
