"""Where an account's own workers may be: what an operator allows, held against the URL that a worker names. Pure.

Nobody but the worker says where it is, so the egress guard judges it as it judges a stranger's URL: HTTPS on port 443
at a public address. Only hosts that the operator has listed may be reached otherwise, and only where the account may
reach private networks at all. Names are judged again by every address that they resolve to.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from providers.egress import check_url
from providers.hosts import BadUrl, host_and_port

#: Characters of a worker's URL, and entries of an account's list.
LONGEST: Final = 400
MOST_HOSTS: Final = 100

_PATTERN: Final = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.\-]{0,250}[a-z0-9_])?\Z")


def bad_pattern(text: str) -> str | None:
    """Why this says no hosts: a name, `*.` and a name, an address, or a network as 10.1.0.0/16; None if it does."""
    if _network(text) is not None:
        return None
    if "/" in text or ":" in text or re.fullmatch(r"[0-9.]+", text):
        return f"'{text[:60]}' is no network: write 10.1.0.0/16, with the bits behind the slash all 0"
    return (
        None if _PATTERN.match(text) else f"'{text[:60]}' is no host: write name.example, *.name.example or 10.1.0.0/16"
    )


def bad_patterns(hosts: Sequence[str]) -> list[str]:
    """What is wrong with an account's list; nothing is an empty list."""
    if len(hosts) > MOST_HOSTS:
        return [f"more than {MOST_HOSTS} worker hosts"]
    return [fault for text in hosts if (fault := bad_pattern(text)) is not None]


def normal(url: str) -> str:
    """The URL below which a worker is asked, spelled in one way. Raises BadUrl for what no worker's can be."""
    if len(url) > LONGEST:
        raise BadUrl(f"the URL has more than {LONGEST} characters")
    if not (url.isascii() and url.isprintable()) or "?" in url or "#" in url:
        raise BadUrl("the URL may have scheme, host, port and path, of printable ASCII, and nothing else")
    scheme, host, port = host_and_port(url)
    netloc = f"[{host}]" if ":" in host else host
    if port != {"https": 443, "http": 80}[scheme]:
        netloc = f"{netloc}:{port}"
    return urlunsplit((scheme, netloc, urlsplit(url).path.rstrip("/"), "", ""))


def private(private_network: bool, hosts: Iterable[str]) -> bool:
    """Whether an account's workers may be reached beyond HTTPS at public addresses: its operator has said where."""
    return private_network and any(hosts)


def why_refused(url: str, private_network: bool, hosts: tuple[str, ...]) -> str | None:
    """Why no worker may be at this URL, for an account with these settings; None: one may."""
    reason = check_url(url, private(private_network, hosts))
    if reason is not None:
        if hosts or not private_network or check_url(url, True) is not None:
            return reason
        return f"{reason}, unless the account's worker hosts name it"
    if hosts and not any(_fits(pattern, url) for pattern in hosts):
        return "it is not among the account's worker hosts"
    return None


def _fits(pattern: str, url: str) -> bool:
    _, host, _ = host_and_port(url)
    network = _network(pattern)
    if network is None:
        return fnmatch.fnmatchcase(host, pattern)
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False  # a name: what it resolves to may change


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
