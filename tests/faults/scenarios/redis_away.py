"""R-REL-12: Redis paused, stopped, killed, crawling or lost, under load and when gateways start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import redis

from tests.faults.load import Phase
from tests.faults.premises import Premises, premises
from tests.faults.proxy import BlackHole, Latency, Slicer
from tests.faults.rows import ROOM, Row, Scale

#: name -> how it begins, how it ends
Faults = dict[str, tuple[Callable[[], object], Callable[[], object]]]


def r_rel_12_redis_away(scale: Scale, seed: int) -> Row:
    seconds = 4.0 if scale == "long" else 0.3
    faulty: list[Phase] = []
    late: list[float] = []
    attached: dict[str, float] = {}
    with premises(scale, seed) as here, closing(redis.Redis.from_url(here.redis.url)) as client:
        gateways = here.gateways
        faults = _faults(here, client, seconds)
        if scale == "short":
            faults = {name: faults[name] for name in ("killed",)}
        with here.load(seed) as load:
            load.phase(min(seconds, 1.0))  # warm
            cpu, logged = gateways.cpu(), gateways.log.stat().st_size
            healthy = load.phase(seconds * 2)
            memory, healthy_cpu = gateways.memory(), (gateways.cpu() - cpu) / len(healthy.answers)
            cpu = 0.0
            for name, (begin, end) in faults.items():
                used = gateways.cpu()
                begin()
                phase = load.phase(seconds)
                cpu += gateways.cpu() - used
                faulty.append(phase)
                late += [one.seconds for one in phase.answers if one.at >= phase.began + 1.0] or [phase.p99()]
                end()
                attached[name] = here.attached_to_redis()
            logged, grown = gateways.log.stat().st_size - logged, gateways.memory() / memory
            here.redis.stop()
            gateways.kill(0)
            booted = load.phase(seconds)
            here.redis.start()
            attached["away at the start"] = here.attached_to_redis()
    requests = sum(len(phase.answers) for phase in (healthy, *faulty))
    failed = sum(len(phase.failed) for phase in (healthy, *faulty))
    # While one gateway is being replaced, its own requests break: what counts is that it serves without Redis.
    failed += sum(one.status != 0 for one in booted.failed)
    ratio = cpu / max(1, sum(len(phase.answers) for phase in faulty)) / healthy_cpu
    before, during = healthy.p99(), sorted(late)[len(late) * 99 // 100]
    per_request = logged / requests
    told = ", ".join(f"{name} {took:.1f} s" for name, took in attached.items())
    kept = not failed and grown <= 1.2 and per_request <= 200 and max(attached.values()) <= 5 * ROOM[scale]
    if scale == "long":  # in half a second, one slow answer of the machine is all of the highest percent
        kept = kept and during <= before + 0.05 and ratio <= 1.2
    return Row(
        f"Redis {', '.join(faults)}, and away at the start",
        "R-REL-12",
        requests + len(booted.answers),
        requests + len(booted.answers) - failed - booted.broken,
        "0 failed, p99 +50 ms after 1 s, memory and CPU 1.2x, 200 log bytes a request, attached in 5 s",
        f"{failed} failed, p99 {before * 1000:.0f} → {during * 1000:.0f} ms, memory {grown:.2f}x, CPU {ratio:.2f}x, "
        f"{per_request:.1f} log bytes; attached: {told}",
        kept,
    )


def _faults(here: Premises, client: redis.Redis, seconds: float) -> Faults:
    proxy, server = here.redis_proxy, here.redis
    return {
        "paused": (lambda: client.client_pause(int(seconds * 1000)), lambda: None),  # it holds back its own end, too
        "stopped": (server.freeze, server.thaw),
        "killed": (server.stop, server.start),
        "lost": (lambda: proxy.fail(BlackHole()), proxy.heal),
        "slow": (lambda: proxy.fail(Latency(0.3, 0.1), Slicer(64, 0.01)), proxy.heal),
    }
