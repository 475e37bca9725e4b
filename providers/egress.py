"""Which addresses may be reached (R-NET-01 to 03). Pure.

The tables are our own: `ipaddress.is_private` and `is_global` differ between Python versions and let NAT64, 6to4 and
shared address space through. A v6 address that carries a v4 address is judged by both.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Never reachable, private network or not: link-local (cloud metadata lies there), multicast, reserved, unspecified.
_NEVER_4: Final = (
    ("169.254.0.0/16", "link-local and metadata"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("0.0.0.0/8", "this network"),
    ("192.0.2.0/24", "documentation"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.175.48.0/24", "AS112"),
    ("100.100.100.200/32", "metadata"),
    ("168.63.129.16/32", "metadata"),
)
#: Reachable only where the account says so.
_PRIVATE_4: Final = (
    ("127.0.0.0/8", "loopback"),
    ("10.0.0.0/8", "private"),
    ("172.16.0.0/12", "private"),
    ("192.168.0.0/16", "private"),
    ("100.64.0.0/10", "shared address space"),
    ("198.18.0.0/15", "benchmarking"),
)
_NEVER_6: Final = (
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
    ("fec0::/10", "site-local"),
    ("fd00:ec2::/32", "metadata"),
    ("fd20:ce::254/128", "metadata"),
    ("100::/64", "discard"),
    ("100:0:0:1::/64", "dummy"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("2001:2::/48", "benchmarking"),
    ("2001:10::/28", "ORCHID"),
    ("2001:20::/28", "ORCHIDv2"),
    ("2001:30::/28", "DRIP"),
    ("2001:1::/32", "protocol assignments"),
    ("2001:3::/32", "AMT"),
    ("2001:4:112::/48", "AS112"),
    ("2620:4f:8000::/48", "AS112"),
    ("5f00::/16", "segment routing"),
)
_PRIVATE_6: Final = (("::1/128", "loopback"), ("fc00::/7", "unique local"))
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")

_Net4 = tuple[int, int, str]


def _table(rows: tuple[tuple[str, str], ...]) -> tuple[_Net4, ...]:
    """(mask, network, name) as integers: one AND and one comparison per row."""
    networks = [(ipaddress.ip_network(cidr), name) for cidr, name in rows]
    return tuple((int(net.netmask), int(net.network_address), name) for net, name in networks)


_NEVER4, _PRIVATE4 = _table(_NEVER_4), _table(_PRIVATE_4)
_NEVER6, _PRIVATE6 = _table(_NEVER_6), _table(_PRIVATE_6)
_METADATA4: Final = _table(tuple(row for row in _NEVER_4 if "metadata" in row[1]))

#: v6 prefixes that carry a v4 address, and how far it is shifted left: mapped, compatible, translated, NAT64 (well
#: known prefix), 6to4.
_EMBEDDING: Final = tuple(
    (ipaddress.IPv6Network(cidr), shift)
    for cidr, shift in (
        ("::ffff:0:0/96", 0),
        ("::/96", 0),
        ("::ffff:0:0:0/96", 0),
        ("64:ff9b::/96", 0),
        ("2002::/16", 80),
    )
)
#: Translators of a private network (RFC 8215). How long their prefix is only their network knows, and with it where
#: the v4 address lies (RFC 6052: bits 64 to 71 are skipped), so each place is looked at for addresses of metadata.
_NAT64_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")


def check_address(ip: IP | str, private: bool) -> str | None:
    """Why this address may not be reached; None if it may. `private`: the account may reach private networks."""
    if isinstance(ip, str):
        try:
            ip = ipaddress.ip_address(ip)
        except ValueError:
            return "not an address"
    if isinstance(ip, ipaddress.IPv4Address):
        return _check(int(ip), _NEVER4, _PRIVATE4, private)
    if ip.scope_id is not None:
        return "an address with a zone"
    number = int(ip)
    if number == 0:
        return "unspecified"
    if ip in _NAT64_LOCAL:
        return _check_nat64_local(number, private)
    if number != 1:
        for inner in _carried(ip):
            reason = _check(inner, _NEVER4, _PRIVATE4, private)
            if reason is not None:
                return f"{reason} (inside an IPv6 address)"
    reason = _check(number, _NEVER6, _PRIVATE6, private)
    if reason is not None:
        return reason
    if ip in _GLOBAL_6 or any(ip in network for network, _ in _EMBEDDING):
        return None
    return None if private and _matches(number, _PRIVATE6) else "not a global address"


def _check_nat64_local(number: int, private: bool) -> str | None:
    if not private:
        return "NAT64 of a private network"
    high = number >> 64
    for inner in (
        (high & 0xFFFF) << 16 | (number >> 40) & 0xFFFF,  # /48
        (high & 0xFF) << 24 | (number >> 32) & 0xFFFFFF,  # /56
        (number >> 24) & 0xFFFFFFFF,  # /64
        number & 0xFFFFFFFF,  # /96
    ):
        reason = _matches(inner, _METADATA4)
        if reason is not None:
            return f"{reason} (inside an IPv6 address)"
    return None


def _carried(ip: ipaddress.IPv6Address) -> list[int]:
    """The v4 addresses inside a v6 address, as numbers."""
    number = int(ip)
    found = [(number >> shift) & 0xFFFFFFFF for network, shift in _EMBEDDING if ip in network]
    if ip in _TEREDO:
        found += [(number >> 64) & 0xFFFFFFFF, (number & 0xFFFFFFFF) ^ 0xFFFFFFFF]
    return found


def _matches(number: int, table: tuple[_Net4, ...]) -> str | None:
    for mask, network, name in table:
        if number & mask == network:
            return name
    return None


def _check(number: int, never: tuple[_Net4, ...], private_table: tuple[_Net4, ...], private: bool) -> str | None:
    return _matches(number, never) or (None if private else _matches(number, private_table))


_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?)*\Z")
#: What resolvers take for an IPv4 address: decimal, octal and hexadecimal parts, one to four of them.
_NUMERIC: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\Z")
_METADATA_NAMES: Final = frozenset(
    {"metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal", "metadata.azure.internal"}
)


def check_url(url: str, private: bool) -> str | None:
    """Why nothing may be sent to this URL, as far as the URL itself tells; None if it may.

    Names are checked again at connect time, by every address they resolve to. HTTPS on port 443 only, unless
    `private`.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "the URL holds characters that no URL may hold"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the URL cannot be read"
    if "@" in parts.netloc or "%" in parts.netloc:
        return "a user name, an escape or a zone in the host"
    return _check_scheme_and_port(parts.scheme, port, private) or _check_host(
        (parts.hostname or "").lower(), parts.netloc.startswith("["), private
    )


def _check_scheme_and_port(scheme: str, port: int | None, private: bool) -> str | None:
    if scheme != "https" and not (private and scheme == "http"):
        return "HTTP and HTTPS only" if private else "HTTPS only"
    if port == 0 or (not private and port not in {None, 443}):
        return "port 443 only"
    return None


def _check_host(host: str, bracketed: bool, private: bool) -> str | None:
    if bracketed:
        return check_address(host, private)
    bare = host.removesuffix(".")
    if _NUMERIC.match(bare):
        try:
            return check_address(ipaddress.IPv4Address(bare), private)
        except ValueError:
            return "an address in an unusual spelling"
    if len(bare) > 253 or not _HOST.match(bare):
        return "not a host name"
    if bare in _METADATA_NAMES:
        return "metadata"
    if not private and (bare == "localhost" or bare.endswith(".localhost")):
        return "loopback"
    return None
