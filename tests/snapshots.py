"""Two snapshots compared in everything but when they were made."""

from __future__ import annotations

import msgspec

from routing.snapshot import Snapshot


def content(snapshot: Snapshot) -> dict:
    """Everything but the moment it was made and what is derived on demand."""
    held = msgspec.structs.asdict(snapshot)
    del held["built_at"], held["memo"]
    held["index"] = msgspec.structs.asdict(snapshot.index)
    return held


def assert_same(patched: Snapshot, built: Snapshot) -> None:
    mine, other = content(patched), content(built)
    for name in other:
        assert mine[name] == other[name], f"table {name} differs"
