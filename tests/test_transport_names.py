"""R-REL-02: names that do not resolve, or not in time, cost the requests that need them and nobody else."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest

from providers import resolving
from providers.egress import check_address
from providers.engine import NoAddress
from providers.exchange import Call, Outgoing
from providers.resolving import EgressRefused, GuardedResolver, NameNotResolved, ThreadedLookup
from providers.transport import Transport
from tests.wires import OK, Upstream, answering, on_both_loops


@pytest.fixture
def names(monkeypatch: Any) -> Any:
    """`hangs-…` is answered when the test is over, `good…` at once, nothing else is known."""
    released, asked = threading.Event(), []

    def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        if host.startswith("hangs-"):
            released.wait(20)
        if host.startswith("good"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    released.set()


def get(host: str, port: int = 443) -> Outgoing:
    return Outgoing("POST", f"http://{host}:{port}/", [], b"{}", Call(private_network=True))


@on_both_loops
async def test_r_rel_02_slow_names_keep_no_other_name_waiting_and_no_loop(names, monkeypatch):
    """A hundred names that hang, one that does not; the loop runs on, and so do the threads that others want."""
    monkeypatch.setattr(resolving, "LOOKUP_DEADLINE", 0.5)
    lag = 0.0

    async def watch() -> None:
        nonlocal lag
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            lag = max(lag, time.monotonic() - before - 0.005)

    async with Upstream(answering(OK)) as upstream:
        transport = Transport()
        slow = [asyncio.create_task(transport.handle_async_request(get(f"hangs-{n}.example"))) for n in range(100)]
        await asyncio.sleep(0.05)
        watching = asyncio.create_task(watch())
        began = time.monotonic()
        answer = await transport.handle_async_request(get("good.example", upstream.port))
        await asyncio.to_thread(time.sleep, 0)
        assert answer.status_code == 200 and time.monotonic() - began < 0.4
        ended = await asyncio.gather(*slow, return_exceptions=True)
        assert {type(problem) for problem in ended} == {NoAddress}
        assert time.monotonic() - began < 5
        watching.cancel()
        assert lag < 0.25, "the promise is 20 ms; a busy machine adds its own"
        await transport.aclose()


@on_both_loops
async def test_r_rel_02_a_look_up_that_is_overdue_is_not_waited_for_again(names, monkeypatch):
    monkeypatch.setattr(resolving, "LOOKUP_DEADLINE", 0.2)
    one = GuardedResolver(True, ThreadedLookup(4))
    for number in range(20):
        began = time.monotonic()
        with pytest.raises(NameNotResolved):
            await one.resolve("hangs-a.example", 80)
        assert number == 0 or time.monotonic() - began < 0.15
    assert names == ["hangs-a.example"], "one thread for one name"
    await one.close()


@on_both_loops
async def test_r_rel_02_earlier_addresses_stand_in_for_ten_minutes_and_are_checked(monkeypatch):
    now, fails = 1000.0, False

    class Clock:
        monotonic = staticmethod(lambda: now)

    async def lookup(host: str, port: int) -> list[str]:
        if fails:
            raise OSError("no answer")
        return ["8.8.8.8"]

    monkeypatch.setattr(resolving, "time", Clock)
    one = GuardedResolver(False, lookup)
    await one.resolve("a.example", 443)
    fails, now = True, 1000.0 + 599
    assert [found["host"] for found in await one.resolve("a.example", 443)] == ["8.8.8.8"]
    monkeypatch.setattr(resolving, "check_address", lambda ip, private: "not any more" if ip == "8.8.8.8" else None)
    with pytest.raises(EgressRefused):
        await one.resolve("a.example", 443)
    monkeypatch.setattr(resolving, "check_address", check_address)
    now = 1000.0 + 601
    with pytest.raises(NameNotResolved):
        await one.resolve("a.example", 443)


@on_both_loops
async def test_r_rel_02_who_has_addresses_does_not_wait_long_for_newer_ones(monkeypatch):
    """And takes them when they come."""
    monkeypatch.setattr(resolving, "PATIENCE", 0.05)
    answer, release = ["8.8.8.8"], asyncio.Event()
    release.set()

    async def lookup(host: str, port: int) -> list[str]:
        await release.wait()
        return answer

    one = GuardedResolver(False, lookup)
    await one.resolve("a.example", 443)
    answer = ["1.1.1.1"]
    release.clear()
    began = time.monotonic()
    assert [found["host"] for found in await one.resolve("a.example", 443)] == ["8.8.8.8"]
    assert time.monotonic() - began < 1.5, "a look-up may take 3 s"
    release.set()
    await asyncio.sleep(0.02)
    assert [found["host"] for found in await one.resolve("a.example", 443)] == ["1.1.1.1"]


@on_both_loops
async def test_r_rel_02_a_connect_deadline_within_the_look_up_is_told_as_dns(names):
    transport = Transport()
    call = Call(private_network=True, timeouts=Call().timeouts.__class__(connect=0.2))
    with pytest.raises(NoAddress):
        await transport.handle_async_request(Outgoing("POST", "http://hangs-b.example/", [], b"{}", call))
    await transport.aclose()


@on_both_loops
async def test_r_rel_02_look_ups_are_bounded(names):
    lookup = ThreadedLookup(3)
    waiting = [asyncio.create_task(lookup(f"hangs-{n}.example", 80)) for n in range(3)]
    await asyncio.sleep(0.05)
    with pytest.raises(NameNotResolved):
        await lookup("good.example", 80)
    for task in waiting:
        task.cancel()
