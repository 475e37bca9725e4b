"""How each place answered lately: what orders candidates, and which of them rest. Pure.

A place is an account and a model there. It is watched passively, by the requests that go there anyway. What is the
caller's fault, or a key's, says nothing about the place; a client that left ends the watch without a word.

The circuit of a place opens after `CONSECUTIVE` failures in a row, or when at least half of the last `ENOUGH` and more
failed. It stays open for `REST` seconds, longer each time it happens again, `LONGEST_REST` at most. Then one request is
let through: if the place begins to answer, the circuit closes. `routing.resolve` never leaves a request without a place
for it: where all circuits are open, they are asked anyway, and the first answer closes one.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from routing.places import OF_KEYS, Circuit, Failure, Figures, Place

CONSECUTIVE: Final = 5
ENOUGH: Final = 20
REST: Final = 30.0
LONGEST_REST: Final = 300.0
#: Seconds in which what was counted loses all but a third of its weight.
FADES: Final = 30.0
#: Of one measurement in the moving averages.
WEIGHT: Final = 0.2
#: Seconds after which a time that nobody measured again is unknown: a place that was slow once gets another chance.
MAX_AGE: Final = 600.0
MAX_PLACES: Final = 4096
#: Times to the first byte of which percentiles are told, and how many of them it takes to say what is usual.
_SAMPLES: Final = 64
USUAL: Final = 20
#: Times of several places together that are enough to say it of all of them: each request of a hedged model asks.
_POOLED: Final = 8 * _SAMPLES


class _Told:
    """What the other processes are to hear: `keys.mirror` takes it from here."""

    def __init__(self) -> None:
        #: (name of a place, until when its circuit is open)
        self.outbox: deque[tuple[str, float]] = deque(maxlen=1024)
        #: names of places whose circuits closed
        self.freed: deque[str] = deque(maxlen=1024)


class _Record:
    """One place. `until`: when an open circuit lets a request through; 0.0 while it is closed."""

    __slots__ = (
        "ejected_at",
        "ejections",
        "faded_at",
        "failures",
        "first_byte",
        "first_bytes",
        "hastened",
        "heard",
        "in_flight",
        "in_row",
        "name",
        "probing",
        "served",
        "told",
        "total",
        "totals",
        "until",
    )

    def __init__(self, now: float, name: str, told: _Told) -> None:
        self.name = name
        self.told = told
        self.heard = self.faded_at = now
        self.in_flight = 0
        self.first_byte: float | None = None
        self.first_bytes: deque[float] = deque(maxlen=_SAMPLES)
        self.total: float | None = None
        self.totals: deque[float] = deque(maxlen=_SAMPLES)
        self.served = 0.0
        self.failures: dict[Failure, float] = {}
        #: failures since it last served
        self.in_row = 0
        self.until = 0.0
        self.probing = False
        #: it was let through before its time since it last was closed
        self.hastened = False
        self.ejections = 0
        self.ejected_at = -math.inf

    def fade(self, now: float) -> None:
        """Let what was counted lose the weight that it has lost by now."""
        if now - self.faded_at >= 1.0:
            self.served, self.failures = self.counted(now)
            self.faded_at = now

    def counted(self, now: float) -> tuple[float, dict[Failure, float]]:
        """What was served and failed, by the weight that it has now. Any thread may ask."""
        left = math.exp(min(self.faded_at - now, 0.0) / FADES)
        failures = dict(self.failures)
        return self.served * left, {kind: count * left for kind, count in failures.items() if count * left > 0.01}

    def began(self, now: float, seconds: float) -> None:
        """It answers: the circuit is closed. One more failure before an answer came whole opens it again."""
        if now - self.heard > MAX_AGE:
            self.first_byte = self.total = None
            self.first_bytes.clear()
            self.totals.clear()
        self.first_byte = _moved(self.first_byte, seconds)
        self.first_bytes.append(seconds)
        self.heard = now
        if self.until:
            self.close()
            self.told.freed.append(self.name)

    def share(self, share: float) -> float | None:
        """Seconds within which so much of its answers began, between 0 and 1; None while it is too early to say."""
        return _usual(self.first_bytes, share)

    def close(self) -> None:
        """Requests may go there again."""
        self.until = 0.0
        self.hastened = False
        self.failures.clear()

    def release(self) -> None:
        """Somebody else knows that requests may go there: what failed here before counts no more."""
        self.close()
        self.in_row = 0

    def finished(self, now: float, seconds: float) -> None:
        self.fade(now)
        self.served += 1
        self.in_row = 0
        self.total = _moved(self.total, seconds)
        self.totals.append(seconds)
        self.heard = now

    def failed(self, now: float, kind: Failure, *, probe: bool) -> None:
        self.fade(now)
        self.failures[kind] = self.failures.get(kind, 0.0) + 1
        self.heard = now
        if kind in OF_KEYS:
            return
        self.in_row += 1
        if probe or (not self.until and self._has_enough()):
            self._eject(now)

    def _has_enough(self) -> bool:
        if self.in_row >= CONSECUTIVE:
            return True
        failed = sum(count for kind, count in self.failures.items() if kind not in OF_KEYS)
        return failed + self.served >= ENOUGH and failed >= self.served

    def _eject(self, now: float) -> None:
        if now - self.ejected_at > 2 * LONGEST_REST:
            self.ejections = 0
        self.ejections += 1
        self.ejected_at = now
        self.until = now + min(REST * self.ejections, LONGEST_REST)
        self.told.outbox.append((self.name, self.until))


class Watch:
    """One request at a place, from when it is sent. Its end is told once: what comes after does not count."""

    __slots__ = ("_clock", "_over", "_probe", "_record", "_started")

    def __init__(self, record: _Record, clock: Callable[[], float]) -> None:
        self._record = record
        self._clock = clock
        self._started = now = clock()
        self._over = False
        #: it is the one that finds out whether the place is well again
        self._probe = bool(record.until) and now >= record.until and not record.probing
        record.probing = record.probing or self._probe
        record.in_flight += 1

    def began(self, seconds: float) -> None:
        """The place answers; its first byte came after so many seconds."""
        self._record.began(self._clock(), seconds)

    def served(self) -> None:
        """The answer came whole."""
        if self._ends():
            now = self._clock()
            self._record.finished(now, now - self._started)

    def failed(self, kind: Failure) -> None:
        """The place did not answer, or not to the end."""
        probe = self._probe
        if self._ends():
            self._record.failed(self._clock(), kind, probe=probe)

    def outrun(self) -> None:
        """Another place, asked later, began first, and this one was given up. That counts against it where it took
        longer than it nearly ever does, or never answered yet: who hangs while others win would never be found out."""
        record = self._record
        usual = record.share(0.95) if record.first_byte is not None else 0.0
        if usual is not None and self._clock() - self._started > usual:
            self.failed(Failure.OUTRUN)
        else:
            self.drop()

    def drop(self) -> None:
        """It ended for reasons that say nothing of the place; nothing, if its end was told."""
        self._ends()

    def _ends(self) -> bool:
        if self._over:
            return False
        self._over = True
        self._record.in_flight -= 1
        if self._probe:
            self._record.probing = self._probe = False
        return True


class Health:
    """All places of one event loop. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._told = _Told()
        self.outbox, self.freed = self._told.outbox, self._told.freed
        self._places: dict[Place, _Record] = {}

    def watch(self, place: Place, kind: Callable[[_Record, Callable[[], float]], Watch] = Watch) -> Watch:
        """A request is being sent there."""
        return kind(self._record(place), self.clock)

    def _record(self, place: Place) -> _Record:
        record = self._places.get(place)
        if record is None:
            if len(self._places) >= MAX_PLACES:
                self._forget()
            record = self._places[place] = _Record(self.clock(), f"{place[0]}:{place[1]}", self._told)
        return record

    def learn(self, remaining: Mapping[str, float], freed: Collection[str] = ()) -> None:
        """Whose circuits are open in any process: name -> seconds left; and whose one closed since the last time.

        What is in neither stays as it is here: until its time is up, and then until a request has found out."""
        now = self.clock()
        for name, seconds in remaining.items():
            account, _, model = name.partition(":")
            if name in self.freed or not 0 < seconds <= LONGEST_REST + 1:
                continue
            record = self._record((int(account), model))
            if not record.until:
                record.until = now + seconds
        if not freed:
            return
        closed = set(freed) - remaining.keys() - dict(self.outbox).keys()
        for record in self._places.values():
            if record.until and record.name in closed:
                record.release()

    def release(self, place: Place) -> None:
        """An operator closes this circuit, here and in the processes that are told of it."""
        record = self._places.get(place)
        if record is not None and record.until:
            record.release()
            self._told.freed.append(record.name)

    def hasten(self, account: int) -> int:
        """The account answers: let a request through at each of its places that rest, how many are there. Once until
        the circuit was closed, as an account that lists its models may still fail those who use them."""
        now = self.clock()
        found = [
            record
            for (owner, _), record in tuple(self._places.items())
            if owner == account and record.until > now and not record.hastened
        ]
        for record in found:
            record.until, record.hastened = now, True
        return len(found)

    def circuit(self, place: Place) -> Circuit:
        """Whether requests may go there now."""
        record = self._places.get(place)
        if record is None or not record.until:
            return Circuit.CLOSED
        return Circuit.OPEN if record.probing or self.clock() < record.until else Circuit.HALF_OPEN

    def falters(self, place: Place) -> bool:
        """Whether the last that it did, in the last half minute, was to fail."""
        record = self._places.get(place)
        return record is not None and record.in_row > 0 and self.clock() - record.heard <= FADES

    def rests(self, place: Place) -> float:
        """Seconds until a request is let through; 0.0 where one is."""
        record = self._places.get(place)
        return max(record.until - self.clock(), 0.0) if record is not None and record.until else 0.0

    def latency(self, place: Place) -> float | None:
        """Seconds to the first byte there of late, or None."""
        record = self._places.get(place)
        if record is None or self.clock() - record.heard > MAX_AGE:
            return None
        return record.first_byte

    def weight(self, place: Place) -> float:
        """How much this process has had to do with a place of late."""
        record = self._places.get(place)
        return record.served if record is not None else 0.0

    def share(self, places: Iterable[Place], share: float) -> float | None:
        """Seconds within which so much of the answers there, all taken together, began of late, or None."""
        oldest = self.clock() - MAX_AGE
        known: deque[float] = deque()
        for place in places:
            record = self._places.get(place)
            if record is not None and record.heard >= oldest:
                known.extend(record.first_bytes)
                if len(known) >= _POOLED:
                    break
        return _usual(known, share)

    def in_flight(self, place: Place) -> int:
        """Requests of this process that are there now."""
        record = self._places.get(place)
        return record.in_flight if record is not None else 0

    def figures(self, place: Place) -> Figures:
        """All that is known of a place. Any thread may ask."""
        record = self._places.get(place)
        if record is None:
            return Figures()
        now = self.clock()
        served, failures = record.counted(now)
        fresh = now - record.heard <= MAX_AGE
        return Figures(
            circuit=self.circuit(place),
            rests=self.rests(place),
            in_flight=record.in_flight,
            first_byte=record.first_byte if fresh else None,
            first_byte_p95=_percentile(record.first_bytes, 0.95) if fresh else None,
            total=record.total if fresh else None,
            total_p95=_percentile(record.totals, 0.95) if fresh else None,
            served=served,
            failures=failures,
            heard=max(now - record.heard, 0.0),
        )

    def __iter__(self) -> Iterator[Place]:
        return iter(tuple(self._places))

    def __len__(self) -> int:
        return len(self._places)

    def clear(self) -> None:
        """Forget everything."""
        self._places.clear()
        self.outbox.clear()
        self.freed.clear()

    def _forget(self) -> None:
        """Of the places where no request is, leave out a tenth: first those that never served and do not rest, as do
        models that callers make up; of the others those that were not heard of for longest."""
        idle = sorted(
            (bool(record.until) or record.total is not None, record.heard, place)
            for place, record in self._places.items()
            if not record.in_flight
        )
        for _, _, place in idle[: MAX_PLACES // 10]:
            del self._places[place]


def resting(health: Health, place: Place) -> str | None:
    """Why no request should go to a place now, None: its circuit lets it."""
    if health.circuit(place) is not Circuit.OPEN:
        return None
    seconds = math.ceil(health.rests(place))
    if seconds:
        return f"it failed and rests for {seconds} s more"
    return "it failed, and one request is finding out whether it still does"


def _moved(known: float | None, seconds: float) -> float:
    return seconds if known is None else known + WEIGHT * (seconds - known)


def _percentile(values: deque[float], share: float) -> float | None:
    return sorted(values)[max(math.ceil(len(values) * share), 1) - 1] if values else None


def _usual(values: deque[float], share: float) -> float | None:
    return _percentile(values, share) if len(values) >= USUAL else None


#: Of this process.
health = Health()
