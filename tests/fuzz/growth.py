"""Large bodies: whatever a true one holds, many times over. Twice the body may cost about twice the time, no more."""

from __future__ import annotations

import copy
import gc
import json
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

from fuzz.mutations import events_of, joined
from fuzz.seeds import seeds
from fuzz.targets import Part

SIZE = 1_000_000
#: For a body of `SIZE`: seconds of processor time, bytes of memory beside the body, and by how much twice the body
#: may take more time (only what takes longer than `NOTICED` is held to that).
MOST_SECONDS, MOST_BYTES, MOST_TIMES, NOTICED = 1.0, 50_000_000, 2.6, 0.25

#: A body of about so many bytes.
Make = Callable[[int], bytes]


def shapes(body: bytes, rng: random.Random) -> Iterator[tuple[str, Make]]:
    """Ways to make a large body of this one."""
    events = events_of(body)
    if len(events) > 1:
        yield from _many_events(events, rng)
    at = rng.randrange(len(events)) if events else 0
    for name, grow in _large_values(events[at][1]) if events else ():

        def make(size: int, grow: Callable[[int], bytes] = grow) -> bytes:
            before, _, after = events[at]
            return joined([*events[:at], (before, grow(size), after), *events[at + 1 :]])

        yield f"event {at}: {name}", make


def _many_events(events: list[Any], rng: random.Random) -> Iterator[tuple[str, Make]]:
    first = rng.randrange(len(events))
    second = rng.randrange(len(events))
    for name, many, counted in (
        (f"event {first} again and again", [events[first]], False),
        (f"event {first} again and again, counted", [events[first]], True),
        (f"events {first} and {second} in turn", [events[first], events[second]], False),
        (f"events {first} and {second} in turn, counted", [events[first], events[second]], True),
    ):
        yield name, lambda size, many=many, counted=counted: _repeated(events, first, many, size, counted=counted)


def _repeated(events: list[Any], at: int, many: list[Any], size: int, *, counted: bool) -> bytes:
    length = sum(len(part) for event in many for part in event) + (120 if many[0][0][:1] == b"\x00" else 0)
    times = max(1, size // max(1, length))
    middle = [_counted(event, number) if counted else event for number in range(times) for event in many]
    return joined([*events[: at + 1], *middle, *events[at + 1 :]])


def _counted(event: tuple[bytes, bytes, bytes], number: int) -> tuple[bytes, bytes, bytes]:
    """The event with other numbers and ids."""
    before, data, after = event
    try:
        found = json.loads(data)
    except ValueError:
        return event
    return before, json.dumps(_renumbered(found, number), separators=(",", ":")).encode(), after


def _renumbered(value: Any, number: int) -> Any:
    if isinstance(value, dict):
        return {
            name: number if "index" in name.lower() and type(inner) is int
            else f"{inner}{number}" if name in ("id", "call_id", "toolUseId") and isinstance(inner, str)
            else _renumbered(inner, number)
            for name, inner in value.items()
        }  # fmt: skip
    return [_renumbered(inner, number) for inner in value] if isinstance(value, list) else value


def _large_values(data: bytes) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    try:
        found = json.loads(data)
    except ValueError:
        return
    for path in _paths(found):
        value = _at(found, path)
        place = ".".join(map(str, path)) or "(all)"
        if isinstance(value, list) and value:
            yield f"{place} longer", _grown(found, path, lambda v, n: v * (n // max(1, len(json.dumps(v))) + 1))
            yield f"{place} longer, counted", _grown(found, path, _longer)
        elif isinstance(value, dict):
            yield (
                f"{place} with more members",
                _grown(found, path, lambda v, n: {**{f"k{i}": 1 for i in range(n // 12)}, **v}),
            )
            yield f"{place} deeper", _grown(found, path, _deeper)
        elif isinstance(value, str):
            for unit in ("x", "é", '"', "\\", "{", "A=", " ", "a.", "\n", "https://", "```json\n", "<think>", "[1]"):
                yield (
                    f"{place} of many {unit!r}",
                    _grown(found, path, lambda v, n, u=unit: v + u * (n // len(json.dumps(u)[1:-1]))),
                )


def _longer(value: list[Any], size: int) -> list[Any]:
    times = size // max(1, len(json.dumps(value))) + 1
    return [_renumbered(one, number) for number in range(times) for one in value]


def _deeper(value: Any, size: int) -> Any:
    for _ in range(min(300, size // 20)):
        value = {"properties": {"a": value}, "type": "object", "k": "x" * (size // 400)}
    return value


def _grown(found: Any, path: tuple[Any, ...], grow: Callable[[Any, int], Any]) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        if not path:
            return _dumped(grow(found, size))
        whole = copy.deepcopy(found)
        holder = _at(whole, path[:-1])
        holder[path[-1]] = grow(holder[path[-1]], size)
        return _dumped(whole)

    return make


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if len(path) < 8:
        inner = (
            value.items() if isinstance(value, dict) else list(enumerate(value))[:3] if isinstance(value, list) else ()
        )
        for name, one in inner:
            yield from _paths(one, (*path, name))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def seconds(part: Part, body: bytes, seed: str) -> float:
    """Seconds of processor time that reading the body takes."""
    gc.collect()
    began = time.process_time()
    part.read(body, random.Random(seed))
    return time.process_time() - began


def verdict(part: Part, make: Make, seed: str, size: int = SIZE) -> str:
    """What is wrong with how this target reads such bodies of this size; empty if nothing is."""
    try:
        body = make(size)
        took = seconds(part, body, seed)
        if took > NOTICED:  # other processes disturb: what is slow once is looked at again
            took = min(took, seconds(part, body, seed), seconds(part, body, seed))
        if took > MOST_SECONDS * len(body) / SIZE:
            return f"{took:.2f} s for {len(body)} bytes"
        if took > NOTICED:
            double = make(2 * size)
            longer = min(seconds(part, double, seed) for _ in range(3))
            if longer > MOST_TIMES * took * len(double) / len(body) / 2:
                return f"{took:.2f} s for {len(body)} bytes, {longer:.2f} s for {len(double)}"
    except Exception as error:  # noqa: BLE001  # any is a finding
        return f"{type(error).__name__}: {str(error)[:100]}"
    return ""


def memory(part: Part, body: bytes, seed: str) -> int:
    """Bytes that reading the body holds at most, beside the body."""
    gc.collect()
    tracemalloc.start()
    try:
        part.read(body, random.Random(seed))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def explore(parts: list[Part], seed: str, until: float, *, recorded: bool = True) -> list[str]:
    """Findings, printed as they come."""
    found: dict[str, str] = {}
    rng = random.Random(f"{seed}:growth")
    count = 0
    while time.monotonic() < until:
        part = rng.choice(parts)
        ways = list(shapes(rng.choice(seeds(recorded=recorded)[part.fed]), rng))
        if not ways:
            continue
        name, make = rng.choice(ways)
        count += 1
        said = verdict(part, make, seed)
        if not said and count % 5 == 0:
            body = make(SIZE)
            held = memory(part, body, seed)
            said = (
                f"{held // 1_000_000} MB held for {len(body)} bytes"
                if held > MOST_BYTES * max(1, len(body) / SIZE)
                else ""
            )
        key = f"{part.name}: {name.split(': ')[-1]}"
        if said and key not in found:
            found[key] = said
            print(f"{part.name}: {said}\n  {name}\n  {repr(make(300))[:900]}", flush=True)
    print(f"{count} large bodies, {len(found)} findings (seed {seed})")
    return list(found)
