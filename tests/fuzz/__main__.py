"""`make fuzz`: reads hostile bodies until the time is over, or one of them shows a fault.

The same seed gives the same bodies in the same order. A finding is printed with its seed and the least input that
shows it; `--case N` makes that one body again.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz import growth  # noqa: E402  # the paths come first
from fuzz.mutations import mutated  # noqa: E402
from fuzz.seeds import seeds  # noqa: E402
from fuzz.targets import Part, targets  # noqa: E402

#: Seconds of processor time that one small body may take.
PATIENCE = 1.0


def made(part: Part, seed: str, number: int, *, recorded: bool = True) -> bytes:
    """The body of this number."""
    rng = random.Random(f"{seed}:{part.name}:{number}")
    pool = seeds(recorded=recorded)[part.fed]
    return mutated(rng.choice(pool), pool, rng)


def fault(part: Part, body: bytes, seed: str, number: int) -> str:
    """What is wrong with how the body is read; empty if nothing is."""
    began = time.process_time()
    try:
        part.read(body, random.Random(f"{seed}:{part.name}:{number}:read"))
    except Exception as error:  # noqa: BLE001  # any is a finding
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
        return f"{type(error).__name__} at {place}: {str(error)[:100]}"
    took = time.process_time() - began
    return f"{took:.1f} s of processor time" if took > PATIENCE else ""


def least(body: bytes, fails: Callable[[bytes], bool], patience: float = 10.0) -> bytes:
    """The body without what is not needed for it to fail."""
    until = time.monotonic() + patience
    size = len(body) // 2
    while size and time.monotonic() < until:
        at = 0
        while at < len(body) and time.monotonic() < until:
            shorter = body[:at] + body[at + size :]
            if fails(shorter):
                body = shorter
            else:
                at += size
        size //= 2
    return body


def _is(part: Part, kind: str, seed: str, number: int, body: bytes) -> bool:
    return fault(part, body, seed, number).split(": ")[0] == kind


def main() -> int:
    """1 if anything was found."""
    asked = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--seed", default="1")
    asked.add_argument("--only", default="", help="targets whose names hold this")
    asked.add_argument("--case", type=int, help="this body alone")
    asked.add_argument("--growth", type=float, default=0.3, help="which part of the time goes to large bodies")
    given = asked.parse_args()
    parts = [part for part in targets().values() if given.only in part.name]
    found: dict[str, str] = {}
    until = time.monotonic() + given.seconds * (1 - given.growth)
    number = 0 if given.case is None else given.case
    count = 0
    while time.monotonic() < until:
        for part in parts:
            body = made(part, given.seed, number)
            count += 1
            said = fault(part, body, given.seed, number)
            key = f"{part.name}: {said.split(': ')[0]}"
            if said and key not in found:
                kind = said.split(": ")[0]
                small = least(body, functools.partial(_is, part, kind, given.seed, number))
                found[key] = said
                again = f"--seed {given.seed} --only '{part.name}' --case {number}"
                print(f"{part.name}: {said}\n  {again}\n  {repr(small)[:1200]}", flush=True)
        if given.case is not None:
            break
        number += 1
    print(f"{count} bodies, {len(found)} findings (seed {given.seed})")
    if given.case is None and given.growth:
        large = growth.explore(parts, given.seed, time.monotonic() + given.seconds * given.growth)
        found |= dict.fromkeys(large, "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
