"""The two lanes: what is special about saying a request anew."""

from __future__ import annotations

from api.lanes import MOST_NAMED, named


def test_names_of_what_was_dropped_cannot_break_a_header() -> None:
    """Clients call unknown members as they like, and the gateway repeats the names in a header."""
    assert named(("seed", "a\r\nx-evil: 1", "seed", "grüße", "x" * 65, "tools[2].cache")) == (
        "seed",
        "unnamed",
        "tools[2].cache",
    )
    assert len(named(f"member-{number}" for number in range(1000))) == MOST_NAMED
