"""A gateway in front of scripted upstreams, as the tests of the official SDKs want it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.scripted import Family, Scripted, Turn


class Fronts:
    """One gateway; each family asked for stands behind it as a public model."""

    def __init__(self, world: Any, gateway: Any, eventually: Callable[..., Any]) -> None:
        self.world = world
        self.url: str = gateway.url
        self.token: str = world.token()
        self._eventually = eventually
        self._upstreams: list[Scripted] = []

    def model(self, family: Family, *turns: Turn, name: str = "m", **quirks: Any) -> Scripted:
        """The public model `name`, by a route with these quirks to an upstream of the family that says these turns."""
        from routing.revisions import latest
        from routing.store import store

        upstream = Scripted(family)
        upstream.turns = list(turns)
        self._upstreams.append(upstream)
        provider = self.world.provider(f"scripted-{name}", family=family.name, credential=family.credential)
        account = self.world.account(
            f"scripted-{name}",
            upstream.url,
            provider=provider,
            keys=("k" * 24,),
            private_network=True,
            variables=dict(family.variables),
        )
        self.world.model(name, (account, family.model, {"quirks": quirks}))
        self._eventually(lambda: store.current.revision >= latest())
        return upstream

    def stop(self) -> None:
        for upstream in self._upstreams:
            upstream.stop()


@pytest.fixture
def fronts(world: Any, gateway: Any, eventually: Callable[..., Any]) -> Iterator[Fronts]:
    made = Fronts(world, gateway, eventually)
    yield made
    made.stop()
