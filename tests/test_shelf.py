"""The sealed copy on disk: whole, private, of one piece, or not used."""

from __future__ import annotations

import random
import stat

import pytest

from keys import ring as rings
from routing import tables
from routing.build import build
from routing.models import PublicModel
from routing.shelf import NoCopy, Shelf
from tests.stores import content, write

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def panel(world):
    world.model("m", (world.account(keys=("sk-canary-000000000000",)), "u"))
    world.token()
    return world


def test_the_copy_is_whole_private_and_sealed(home, panel, world):
    for n in range(700):
        PublicModel.objects.create(name=f"many-{n}")
    snapshot = build()
    shelf = Shelf(home.snapshot)
    shelf.put(snapshot, tables.no_pace)
    assert content(shelf.get()) == content(snapshot)
    assert stat.S_IMODE(home.snapshot.stat().st_mode) == 0o600
    held = home.snapshot.read_bytes()
    for word in (b"many-1", b"up.example", b"models", *(token[:8] for token in snapshot.tokens)):
        assert word not in held
    assert [path.name for path in home.root.iterdir()] == ["snapshot.sealed"]


def test_a_damaged_or_foreign_copy_is_not_used(home, panel):
    shelf, draws = Shelf(home.snapshot), random.Random(1)
    shelf.put(build(), tables.no_pace)
    whole = home.snapshot.read_bytes()
    damaged = [b"", whole[:3], whole[: len(whole) // 2], whole[:-1], b"\xff\xff\xff\xff" + whole, whole[200:]]
    for _ in range(60):
        place = draws.randrange(4, len(whole))
        damaged.append(whole[:place] + bytes([whole[place] ^ (1 << draws.randrange(8))]) + whole[place + 1 :])
    for content_ in damaged:
        home.snapshot.write_bytes(content_)
        with pytest.raises(NoCopy):
            shelf.get()
    home.snapshot.write_bytes(whole)
    assert shelf.get().models


def test_parts_of_another_revision_cannot_be_mixed_in(home, panel):
    """Each part is sealed with its number and revision: an old table cannot be put into a newer copy."""
    shelf = Shelf(home.snapshot)
    shelf.put(build(), tables.no_pace)
    old = frames(home.snapshot.read_bytes())
    write(description="newer")
    shelf.put(build(), tables.no_pace)
    new = frames(home.snapshot.read_bytes())
    assert len(old) == len(new)
    for n in range(len(new)):
        home.snapshot.write_bytes(b"".join([*new[:n], old[n], *new[n + 1 :]]))
        with pytest.raises(NoCopy):
            shelf.get()
    home.snapshot.write_bytes(b"".join([new[0], new[2], new[1], *new[3:]]))
    with pytest.raises(NoCopy):
        shelf.get()


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        found.append(data[:end])
        data = data[end:]
    return found


def test_a_copy_sealed_under_another_ring_is_not_used(home, panel, tmp_path, settings):
    shelf = Shelf(home.snapshot)
    shelf.put(build(), tables.no_pace)
    settings.RING_FILE = tmp_path / "other-ring.json"
    rings.create(settings.RING_FILE)
    with pytest.raises(NoCopy, match="ring"):
        shelf.get()
    assert shelf.revision() is None
