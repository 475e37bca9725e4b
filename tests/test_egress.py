"""The egress guard (R-NET-01, R-NET-02): a table of URLs and answers of name servers, and no connection is seen."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.egress import check_address, check_url
from providers.exchange import Call, Outgoing
from providers.resolving import EgressRefused, GuardedResolver, NameNotResolved
from providers.transport import NoAddress, Transport

#: Refused whoever asks.
NEVER = [
    "169.254.169.254", "169.254.0.1", "169.254.170.2", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.9",
    "192.88.99.1", "100.100.100.200", "168.63.129.16", "::", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
    "fd00:ec2::254", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1", "2001:10::1", "2001:20::1",
    "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1:0:a9:fea9:fe00:0", "64:ff9b:1:6464:64:c800::",
    "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "2001:0:1::5601:5601", "::ffff:0:169.254.169.254", "::ffff:0.0.0.0",
    "fe80::1%eth0", "nonsense",
]  # fmt: skip
#: Refused unless the account may reach private networks.
PRIVATE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.127.255.254", "198.18.0.1", "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b:1:808:8:800::", "64:ff9b:1::808:808", "64:ff9b:1:a00:0:100::",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:101::1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "172.32.0.1", "172.15.0.1", "100.128.0.1", "11.0.0.1", "2606:4700::1111", "2a00:1450::1",
    "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
def test_never(address):
    assert check_address(address, False) and check_address(address, True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private(address):
    assert check_address(address, False)
    assert check_address(address, True) is None


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address):
    assert check_address(address, False) is None and check_address(address, True) is None


@given(st.integers(0, 2**32 - 1))
def test_a_v4_address_is_judged_alike_inside_every_v6_form(number):
    plain = check_address(ipaddress.IPv4Address(number), False)
    for carrier in (
        (0xFFFF << 32) | number,
        (0x64FF9B << 96) | number,
        (0x2002 << 112) | (number << 80) | 1,
    ):
        assert bool(check_address(ipaddress.IPv6Address(carrier), False)) == bool(plain)


#: (URL with {port} of a listener on loopback, whether an account with private network may call it)
URLS = [
    ("http://example.com/", True), ("http://127.0.0.1:{port}/", True), ("https://127.0.0.1:{port}/", True),
    ("https://127.0.0.1/", True), ("https://localhost:{port}/", True), ("https://localhost/", True),
    ("https://LOCALHOST/", True), ("https://localhost./", True), ("https://a.localhost/", True),
    ("https://[::1]:{port}/", True), ("https://[::1]/", True), ("https://[::]/", False),
    ("https://[::]:{port}/", False), ("https://[::ffff:127.0.0.1]/", True), ("https://[::ffff:7f00:1]/", True),
    ("https://[::127.0.0.1]/", True), ("https://[64:ff9b::7f00:1]/", True), ("https://[2002:7f00:1::]/", True),
    ("https://[fe80::1%25eth0]/", False), ("https://[fe80::1%eth0]/", False), ("https://[::1%25lo]/", False),
    ("https://0.0.0.0/", False), ("https://0.0.0.0:{port}/", False), ("https://0/", False), ("https://127.1/", False),
    ("https://127.0.1/", False), ("https://2130706433/", False), ("https://2130706433:{port}/", False),
    ("https://0x7f000001/", False), ("https://0x7f.0.0.1/", False), ("https://0x7f.1/", False),
    ("https://017700000001/", False), ("https://0177.0.0.1/", False), ("https://0177.1/", False),
    ("https://127.0.0.01/", False), ("https://127.000.000.001/", False), ("https://00000177.0.0.1/", False),
    ("https://127.0.0.1./", True), ("https://4294967297/", False), ("https://256.256.256.256/", False),
    ("https://169.254.169.254/latest/meta-data/", False), ("http://169.254.169.254/", False),
    ("https://2852039166/", False), ("https://0xa9fea9fe/", False), ("https://[fd00:ec2::254]/", False),
    ("https://metadata.google.internal/", False), ("https://metadata.google.internal./", False),
    ("https://user@127.0.0.1/", False), ("https://user:pass@example.com/", False),
    ("https://example.com@127.0.0.1/", False), ("https://127.0.0.1#@example.com/", True),
    ("https://example.com\\@127.0.0.1/", False), ("https://127.0.0.1\\.example.com/", False),
    ("https://127.0.0.1%2f.example.com/", False), ("https://%31%32%37.0.0.1/", False),
    ("https://127。0。0。1/", False), ("https://①②⑦.⓪.⓪.①/", False), ("https://l\u043ecalhost/", False),
    ("https://exa mple.com/", False), ("https://example.com\r\nHost: x/", False), ("https://example.com\x00/", False),
    ("https://example.com:{port}/", True), ("https://example.com:22/", True), ("https://example.com:0/", False),
    ("https://example.com:99999/", False), ("https://example.com:x/", False), ("ftp://example.com/", False),
    ("file:///etc/passwd", False), ("gopher://127.0.0.1:{port}/", False), ("unix:///var/run/x", False),
    ("https:///", False), ("https://", False), ("//example.com/", False), ("https://-a.example/", False),
    ("https://a..example/", False), ("https://" + "a" * 64 + ".example/", False), ("https://10.0.0.1/", True),
    ("https://192.168.0.1:{port}/", True), ("https://100.64.0.1/", True), ("https://[fc00::1]/", True),
    ("https://[fec0::1]/", False), ("https://224.0.0.1/", False),
]  # fmt: skip


def test_the_table_is_long_enough():
    assert len(URLS) >= 60


@pytest.mark.parametrize(("url", "private_may"), URLS)
def test_urls(url, private_may):
    url = url.replace("{port}", "8080")
    assert check_url(url, False)
    assert (check_url(url, True) is None) == private_may


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://a.example:443/",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://under_score.example/",
    ],
)
def test_ordinary_urls_pass(url):
    assert check_url(url, False) is None


def test_no_connection_is_made_to_any_refused_url():
    """Listeners on the loopback addresses count who comes; names resolve to loopback, where they resolve at all."""

    async def scenario() -> None:
        seen: list[object] = []

        async def lookup(host: str, port: int) -> list[str]:
            return ["127.0.0.1", "::1"]

        async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(writer.get_extra_info("peername"))
            writer.close()

        server = await asyncio.start_server(on_connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        servers = [server]
        if socket.has_ipv6:
            with contextlib.suppress(OSError):
                servers.append(await asyncio.start_server(on_connect, "::1", port))
        transport = Transport(lookup=lookup)
        for url, _ in URLS + [(f"https://name-{n}.example/", False) for n in range(3)]:
            request = Outgoing("POST", url.replace("{port}", str(port)), [], b"{}", Call())
            with pytest.raises(EgressRefused):
                await transport.handle_async_request(request)
        await asyncio.sleep(0.05)
        assert seen == []
        assert transport.stats() == {"in_use": 0, "idle": 0}
        request = Outgoing("POST", f"http://name.example:{port}/", [], b"{}", Call(private_network=True))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await transport.handle_async_request(request)
        assert len(seen) == 1, "the listener does listen"
        await transport.aclose()
        for one in servers:
            one.close()
            await one.wait_closed()

    asyncio.run(scenario())


def resolver(answers: dict[str, list[str]], private: bool = False, asked: list[str] | None = None) -> GuardedResolver:
    async def lookup(host: str, port: int) -> list[str]:
        if asked is not None:
            asked.append(host)
        found = answers.get(host.rstrip("."))
        if found is None:
            raise OSError("no such name")
        return found

    return GuardedResolver(private, lookup)


def addresses(found) -> list[str]:
    return [row["host"] for row in found]


def test_every_address_must_pass():
    async def scenario() -> None:
        bad = resolver({"a.example": ["8.8.8.8", "10.0.0.1"], "b.example": ["8.8.8.8", "2606:4700::1111"]})
        with pytest.raises(EgressRefused):
            await bad.resolve("a.example", 443)
        assert addresses(await bad.resolve("b.example", 443)) == ["8.8.8.8", "2606:4700::1111"]
        inside = resolver({"a.example": ["8.8.8.8", "10.0.0.1"], "m.example": ["169.254.169.254"]}, private=True)
        assert addresses(await inside.resolve("a.example", 443)) == ["8.8.8.8", "10.0.0.1"]
        with pytest.raises(EgressRefused):
            await inside.resolve("m.example", 443)

    asyncio.run(scenario())


def test_a_name_that_changes_its_answer_is_checked_each_time():
    """Rebinding: each connection resolves anew, and what was checked is what is connected to."""

    async def scenario() -> None:
        answers = {"a.example": ["8.8.8.8"]}
        one = resolver(answers)
        assert addresses(await one.resolve("a.example", 443)) == ["8.8.8.8"]
        answers["a.example"] = ["127.0.0.1"]
        with pytest.raises(EgressRefused):
            await one.resolve("a.example", 443)

    asyncio.run(scenario())


def test_search_domains_are_kept_out():
    async def scenario() -> None:
        asked: list[str] = []
        await resolver({"api": ["8.8.8.8"], "a.example": ["8.8.8.8"]}, asked=asked).resolve("api", 443)
        await resolver({"a.example": ["8.8.8.8"]}, asked=asked).resolve("a.example.", 443)
        await resolver({"vllm": ["10.0.0.1"]}, private=True, asked=asked).resolve("vllm", 80)
        assert asked == ["api.", "a.example.", "vllm"]

    asyncio.run(scenario())


def test_one_look_up_serves_all_who_wait_and_outlives_one_who_leaves():
    async def scenario() -> None:
        started, release = 0, asyncio.Event()

        async def lookup(host: str, port: int) -> list[str]:
            nonlocal started
            started += 1
            await release.wait()
            return ["8.8.8.8"]

        one = GuardedResolver(False, lookup)
        waiting = [asyncio.create_task(one.resolve("a.example", 443)) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        release.set()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        assert all(addresses(found) == ["8.8.8.8"] for found in done[1:])
        assert started == 1

    asyncio.run(scenario())


def test_r_rel_02_failures_are_remembered_and_good_addresses_stand_in():
    async def scenario() -> None:
        answers, asked = {"a.example": ["8.8.8.8"]}, []
        one = resolver(answers, asked=asked)
        await one.resolve("a.example", 443)
        del answers["a.example"]
        assert addresses(await one.resolve("a.example", 443)) == ["8.8.8.8"]
        assert addresses(await one.resolve("a.example", 443)) == ["8.8.8.8"]
        assert len(asked) == 2, "a name that just failed is not asked for again"
        with pytest.raises(NameNotResolved):
            await one.resolve("b.example", 443)
        with pytest.raises(NameNotResolved):
            await one.resolve("b.example", 443)
        assert len(asked) == 3

    asyncio.run(scenario())


def test_r_rel_02_a_slow_name_server_holds_nobody_up(monkeypatch):
    """R-REL-02: the look-up has a deadline, and the loop runs on meanwhile."""
    monkeypatch.setattr("providers.resolving.LOOKUP_DEADLINE", 0.1)

    async def scenario() -> None:
        async def lookup(host: str, port: int) -> list[str]:
            await asyncio.sleep(60)
            return ["8.8.8.8"]

        transport = Transport(lookup=lookup)
        started = asyncio.get_running_loop().time()
        with pytest.raises(NoAddress):
            await transport.handle_async_request(Outgoing("POST", "https://slow.example/", [], b"{}", Call()))
        assert asyncio.get_running_loop().time() - started < 4, "connecting alone may take 5 s"
        await transport.aclose()

    asyncio.run(scenario())


def test_names_of_callers_keep_no_upstream_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who serves such a name may let everybody wait who asks for it."""
    real, released = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        if "hangs" in str(host):
            released.wait(30)
            raise socket.gaierror("at last")
        return real("127.0.0.1", *rest, **more) if "upstream" in str(host) else real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def scenario() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = Transport()
        calls = [
            transport.handle_async_request(
                Outgoing("GET", f"https://hangs-{number}.example/", [], b"", Call(private, stranger=True))
            )
            for number, private in enumerate([False, True] * 60)
        ]
        strangers = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0)
        try:
            request = Outgoing("GET", f"http://upstream.example:{port}/", [], b"", Call(private_network=True))
            assert (await transport.handle_async_request(request)).status_code == 200
            assert not all(task.done() for task in strangers), "they still hang"
        finally:
            released.set()
            ended = await asyncio.gather(*strangers, return_exceptions=True)
        assert {type(problem) for problem in ended} == {NoAddress}
        request = Outgoing(
            "GET", f"http://upstream.example:{port}/", [], b"", Call(private_network=True, stranger=True)
        )
        with pytest.raises(EgressRefused):
            await transport.handle_async_request(request)
        await transport.aclose()
        server.close()
        await server.wait_closed()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    asyncio.run(scenario())
