"""Revocation never waits on routing: a refused revision keeps no token, project or key in use, and ages."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from django.db import models

from keys.models import ApiToken, Project, ProviderKey
from keys.tokens import issue, mac, revoke
from routing import revisions
from routing.build import BadSnapshot, build
from routing.models import Route
from routing.snapshot import Snapshot
from routing.store import Store
from routing.urgent import renew
from tests.stores import away, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def panel(world: Any, home: Any) -> Any:
    world.model("m", (world.account(keys=("sk-canary-000000000000", "sk-canary-111111111111")), "u"))
    world.plain = world.token()
    return world


def break_routing() -> None:
    """As raw SQL would: a weight that no snapshot takes, and word of it."""
    rows: models.QuerySet[Any] = models.QuerySet(Route)
    rows.update(weight=5_000_000)
    revisions.publish()


def token_of(snapshot: Snapshot, plain: str) -> Any:
    code = mac(plain)
    assert code is not None
    return snapshot.tokens.get(code)


def _new() -> None:
    row, _ = issue(Project.objects.get())
    assert row.pk


URGENT = {
    "a token revoked": (
        lambda: revoke(ApiToken.objects.get(), "retired"),
        lambda s: next(iter(s.tokens.values())).revoked_at is not None,
    ),
    "a token deleted": (lambda: ApiToken.objects.all().delete(), lambda s: not s.tokens),
    "a token issued": (_new, lambda s: len(s.tokens) == 2),
    "a project switched off": (
        lambda: Project.objects.update(enabled=False),
        lambda s: not next(iter(s.projects.values())).enabled,
    ),
    "a key switched off": (
        lambda: ProviderKey.objects.filter(position=0).update(enabled=False),
        lambda s: (
            sorted(key.enabled for sets in s.key_sets.values() for entry in sets for key in entry.keys) == [False, True]
        ),
    ),
    "a key deleted": (
        lambda: ProviderKey.objects.first().delete(),  # type: ignore[union-attr]
        lambda s: sum(len(entry.keys) for sets in s.key_sets.values() for entry in sets) == 1 == len(s.index.keys),
    ),
}


@pytest.mark.parametrize("told", [True, False], ids=["by revisions", "by raw SQL"])
@pytest.mark.parametrize("what", URGENT)
def test_a_refused_revision_keeps_nothing_in_use(what: str, told: bool, panel: Any, unchecked: None) -> None:
    write, seen = URGENT[what]
    good = build()
    if told:
        Route.objects.update(weight=5_000_000)
    else:
        break_routing()
    write()
    with pytest.raises(BadSnapshot):
        build()
    renewed = renew(good)
    assert not seen(good) and seen(renewed)
    assert renewed.revision == good.revision and renewed.models == good.models
    assert renew(renewed) is renewed


def test_the_store_serves_a_revocation_behind_a_refused_revision(panel: Any) -> None:
    """Also a gateway that was started again meanwhile, which then serves its sealed copy with the database there."""

    async def run() -> None:
        store = Store()
        await store.start()
        good = store.current
        await until(panel_home().exists)
        await away(break_routing)
        await until(lambda: "weight" in store.problem)
        await away(lambda: revoke(ApiToken.objects.get(), "compromised"))
        await until(lambda: token_of(store.current, panel.plain).revoked_at is not None)
        assert store.current.revision == good.revision and store.current.models == good.models
        await store.stop()
        again = Store()
        await again.start()
        assert again.ready and again.source == "disk" and not again.degraded
        assert "weight" in again.problem and again.current.models == good.models
        assert token_of(again.current, panel.plain).revoked_at is not None
        await away(lambda: Project.objects.update(enabled=False))
        await until(lambda: not next(iter(again.current.projects.values())).enabled)
        assert again.source == "disk" and "weight" in again.problem
        await away(lambda: Route.objects.update(weight=1))
        await until(lambda: again.source == "database" and not again.problem)
        await again.stop()

    def panel_home() -> Any:
        from django.conf import settings

        return settings.HOME.snapshot

    asyncio.run(run())


def test_the_copy_on_disk_forgets_a_revoked_token_too(panel: Any) -> None:
    async def run() -> None:
        store = Store()
        await store.start()
        await away(break_routing)
        await until(lambda: "weight" in store.problem)
        await away(lambda: revoke(ApiToken.objects.get(), "compromised"))
        await until(lambda: token_of(store.current, panel.plain).revoked_at is not None)
        await store.stop()
        assert store._shelf is not None
        assert token_of(store._shelf.get(), panel.plain).revoked_at is not None

    asyncio.run(run())


def test_what_is_refused_for_long_grows_old(panel: Any) -> None:
    """R-REL-13c: only the newest revision confirms a snapshot, not a look that was refused."""

    async def run() -> None:
        store = Store()
        await store.start()
        await away(break_routing)
        await until(lambda: "weight" in store.problem)
        known = store._known_at
        for _ in range(3):
            await away(revisions.publish)  # each is tried and refused
            await asyncio.sleep(0.15)
        assert store._known_at == known < time.time() - 0.4
        await store.stop()

    asyncio.run(run())
