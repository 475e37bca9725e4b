"""What was found: one row per client and upstream, told as it comes and once more as a table at the end."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tests.smoke.packages import say


class Row(NamedTuple):
    """`wrong`: what went wrong; empty if nothing did."""

    client: str
    upstream: str
    wrong: str


def told(rows: Iterable[Row]) -> list[Row]:
    """All of them; what failed or took over a second is said as soon as it is there."""
    found = []
    started = time.monotonic()
    for row in rows:
        now = time.monotonic()
        if row.wrong or now - started > 1:
            say(f"  {'FAILED' if row.wrong else 'ok':6} {row.client} at {row.upstream} ({now - started:.1f} s)")
        found.append(row)
        started = now
    return found


def table(rows: Iterable[Row]) -> str:
    """A line per client, a column per upstream; one block for all the clients that were at the same upstreams."""
    cells: dict[str, dict[str, str]] = defaultdict(dict)
    for client, upstream, wrong in rows:
        cells[client][upstream] = "FAILED" if wrong or cells[client].get(upstream) == "FAILED" else "ok"
    blocks: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for client, found in cells.items():
        blocks[tuple(found)].append(client)
    width = max(map(len, cells), default=0)
    lines = []
    for upstreams, clients in blocks.items():
        # What all their names begin with is said once: aimock's nine columns fit a screen so.
        kind = upstreams[0].partition("-")[0] + "-"
        kind = kind if len(upstreams) > 1 and all(each.startswith(kind) for each in upstreams) else ""
        heads = [upstream.removeprefix(kind) for upstream in upstreams]
        corner = f"at {kind.rstrip('-')}" if kind else ""
        lines += ["", f"{corner:{width}}" + "".join(f"  {head:>6}" for head in heads)]
        for client in clients:
            marks = (
                f"  {cells[client][each]:>{max(6, len(head))}}" for each, head in zip(upstreams, heads, strict=True)
            )
            lines.append(f"{client:{width}}{''.join(marks)}")
    return "\n".join(lines)
