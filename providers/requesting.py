"""A `requests` session under the rules of the transport: for access tokens, which google-auth fetches that way.

Every URL and every address is checked, and the checked address is the one that is connected to; no redirects, no
cookies, no proxy or password from the environment; TLS is always verified. An answer is small and comes soon, or it is
none: both are limited.
"""

from __future__ import annotations

import io
import socket
import time
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from providers.egress import check_address, check_url
from providers.engine import tls_context

#: Bytes of an answer; seconds for connecting, for each read, and for the whole of reading.
MOST: Final = 256 * 1024
CONNECT: Final = 5.0
READ: Final = 10.0
WHOLE: Final = 20.0


class NotAllowed(Exception):  # neither requests nor google-auth takes it for one of theirs
    """The URL or its address may not be reached, or the answer is too large or too slow."""


class _Adapter(HTTPAdapter):
    """Sends to checked addresses only."""

    def __init__(self, private: bool) -> None:
        self._private = private
        super().__init__(max_retries=0, pool_connections=1, pool_maxsize=1)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """One request, as it is. Raises NotAllowed and requests' own exceptions."""
        url = request.url or ""
        refused = check_url(url.partition("?")[0], self._private)
        if refused is not None:
            raise NotAllowed(f"the URL is not allowed: {refused}")
        request.headers["Host"] = urlsplit(url).netloc  # the connection is made to an address
        response = super().send(request, **{**options, "stream": True, "timeout": (CONNECT, READ)})
        response.raw = io.BytesIO(_read(response.raw))
        return response

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """requests' own seam for where a connection leads and by what TLS it is trusted."""
        where, trust = super().build_connection_pool_key_attributes(request, True, None)
        host = where["host"]
        where["host"] = _address(host, where["port"], self._private)
        if where["scheme"] == "https":
            trust.update(ssl_context=tls_context(), server_hostname=host, assert_hostname=host)
        return where, trust


class Session(requests.Session):
    """One exchange's session; close it. `private`: the account may reach private networks."""

    def __init__(self, *, private: bool) -> None:
        super().__init__()
        self.trust_env = False
        adapter = _Adapter(private)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """No answer leads elsewhere: what is sent would follow it."""
        return None


def _address(host: str, port: int | None, private: bool) -> str:
    """The address to connect to. Raises NotAllowed if any one of the name's is bad, ConnectionError without one."""
    bare = host.strip("[]")
    literal = ":" in bare or bare.replace(".", "").isdigit()
    # As in `providers.resolving`: the dot keeps the machine's search domains out.
    asked = bare if private or literal or bare.endswith(".") else f"{bare}."
    try:
        found = socket.getaddrinfo(asked, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise requests.ConnectionError(f"{bare} could not be resolved") from None
    addresses = [str(address[0]) for *_, address in found]
    for address in addresses:
        refused = check_address(address, private)
        if refused is not None:
            raise NotAllowed(f"{bare} resolves to an address that is not allowed: {refused}")
    # IPv4 first: there is one try, and a machine may have IPv6 addresses that lead nowhere.
    return min(addresses, key=lambda address: ":" in address)


def _read(raw: Any) -> bytes:
    """The whole of a body that is neither large nor slow."""
    until = time.monotonic() + WHOLE
    found = b""
    while chunk := raw.read1(16 * 1024, decode_content=True):
        found += chunk
        if len(found) > MOST:
            raise NotAllowed("the answer is larger than any token")
        if time.monotonic() > until:
            raise NotAllowed("the answer takes too long")
    raw.close()
    return found
