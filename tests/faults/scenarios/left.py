"""R-REL-18: clients that leave at any moment, by the ten thousand."""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import suppress
from pathlib import Path

import httpx

from tests.faults.checker import told
from tests.faults.ledger import audit
from tests.faults.load import question
from tests.faults.premises import Premises, eventually, premises
from tests.faults.rows import Row, Scale

#: Clients at a time.
_AT_ONCE = 50
_GAUGES = ("jackfield_upstream_in_use", "jackfield_requests_active", "jackfield_requests_booked")


def r_rel_18_clients_leave(scale: Scale, seed: int) -> Row:
    cancels = 100_000 if scale == "long" else 300
    with premises(scale, seed) as here:
        with here.load(seed) as load:
            load.phase(0.5)  # pools are filled
        before, upstream = here.gateways.files(), _files(here.truth.pid)
        asyncio.run(_churn(here, cancels, seed))
        quiet = eventually(lambda: not any(_gauges(here)), 60, 0.1)
        open_files, open_upstream = here.gateways.files(), _files(here.truth.pid)
        with here.load(seed + 1) as load:
            after = load.phase(1.0 if scale == "long" else 0.5)
        found = audit(here, patience=120.0)
        eventually(lambda: not any(_gauges(here)), 10, 0.1)  # what the load broke off when it ended is given up soon
        leaked = [value for value in _gauges(here) if value]
    # Each gateway keeps as many idle connections to the upstream as were once in use.
    spare = _AT_ONCE * len(here.gateways.pids)
    return Row(
        f"{cancels:,} clients leave at random moments",
        "R-REL-18",
        cancels,
        cancels,
        "0 pool slots and 0 requests in hand left, files and sockets flat, later requests succeed, a row each",
        f"gauges above 0: {leaked or 'none'} after {quiet:.1f} s; files {before} → {open_files}, "
        f"upstream's {upstream} → {open_upstream}; {len(after.failed)} of {len(after.answers)} later ones failed"
        f"{told(found)}",
        not leaked
        and quiet < 60
        and open_files <= before + spare
        and open_upstream <= upstream + spare
        and not after.failed
        and not found,
    )


def _files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _gauges(here: Premises) -> list[float]:
    """In use at the upstream, in hand, booked as in flight: sums over all gateways."""
    page = httpx.get(f"http://127.0.0.1:{here.gateways.ports[0]}/metrics", timeout=20, trust_env=False).text
    told = [float(value) for name in _GAUGES for value in re.findall(rf"^{name} (\S+)$", page, re.MULTILINE)]
    assert len(told) == len(_GAUGES)
    return told


async def _churn(here: Premises, cancels: int, seed: int) -> None:
    dice = random.Random(seed)
    requests = [question(here.token, "patched", stream) for stream in (False, True)]
    left = iter(range(cancels))

    async def client() -> None:
        for _ in left:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", dice.choice(here.gateways.ports))
                writer.write(dice.choice(requests))
                # Half of them before the upstream answers, the others while it does.
                await asyncio.sleep(dice.uniform(0.0, 0.02))
                writer.transport.abort()

    await asyncio.gather(*(client() for _ in range(_AT_ONCE)))
