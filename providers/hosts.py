"""Where a request goes: URL templates, their variables, and the origin that a key's seal is bound to. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from providers.entries import AccountEntry, ProviderEntry
from providers.families import FAMILIES, OPENAI_COMPLETIONS

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_SLOT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~\-]*\Z")


class BadUrl(ValueError):
    """A base URL that no request may be sent to."""


class UnfilledVariable(BadUrl):
    """A URL template names a variable that has no value: nothing is sent (A-26)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the URL needs a value for '{name}'")
        self.name = name


def fill(template: str, variables: Mapping[str, str]) -> str:
    """The template with each `{name}` replaced.

    A value inside a URL may hold letters, digits and `._~-` only, so none can move the request to another host or
    path. A template that is nothing but one variable (`{service_url}`, `{host}/v1`) takes a whole URL there.

    Raises UnfilledVariable where a value is missing, BadUrl where it is not fit for its place.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        value = variables.get(name, "").strip()
        if not value:
            raise UnfilledVariable(name)
        if match.start() == 0:
            if not value.startswith(("https://", "http://")):
                raise BadUrl(f"the value of '{name}' must be a URL")
            return value.rstrip("/")
        if not _VALUE.match(value):
            raise BadUrl(f"the value of '{name}' does not fit into a URL")
        return value

    return _SLOT.sub(value_of, template)


def check_template(template: str) -> None:
    """Refuse a base URL that leads nowhere; one that begins with a variable is judged where it is filled.

    Raises BadUrl.
    """
    if template and not template.startswith("{"):
        origin_of(_SLOT.sub("1", template))


def host_and_port(url: str) -> tuple[str, str, int]:
    """Scheme, host (lower case, punycode, no brackets, no final dot) and port of a URL. Raises BadUrl."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadUrl("the URL cannot be read") from error
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme not in _DEFAULT_PORTS or not host:
        raise BadUrl("the URL must begin with https:// or http:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("the URL must not hold a user name or password")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise BadUrl("the host name is not a valid international domain name") from error
    return scheme, host.rstrip(".").lower(), port if port is not None else _DEFAULT_PORTS[scheme]


@functools.lru_cache(maxsize=4096)
def origin_of(url: str) -> str:
    """`scheme://host:port` with punycode host and explicit port: what a credential is bound to (R-SEC-04).

    Raises BadUrl.
    """
    scheme, host, port = host_and_port(url)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def variables_of(provider: ProviderEntry, account: AccountEntry, key_set_vars: Mapping[str, str]) -> dict[str, str]:
    """The values a template of this provider is filled from: its defaults, the account's, then the key set's."""
    values = {variable.name: variable.default for variable in provider.variables if variable.default}
    values.update((name, value) for name, value in account.variables.items() if value)
    values.update((name, value) for name, value in key_set_vars.items() if value)
    return values


def base_url(provider: ProviderEntry, account: AccountEntry, key_set_vars: Mapping[str, str], family: str) -> str:
    """The base URL for one family of one account: the account's own, else the provider's for that family, filled.

    Raises UnfilledVariable or BadUrl: a configuration error, found before anything is sent.
    """
    template = account.base_url or provider.families.get(family) or provider.base_url
    if not template:
        raise UnfilledVariable("base_url")
    url = fill(template, variables_of(provider, account, key_set_vars)) if "{" in template else template
    return _normal(url)


@functools.lru_cache(maxsize=4096)
def _normal(url: str) -> str:
    """The URL with its host as it is called and sealed: lower case, punycode, no default port. Raises BadUrl."""
    scheme, host, port = host_and_port(url)
    parts = urlsplit(url)
    netloc = f"[{host}]" if ":" in host else host
    if port != _DEFAULT_PORTS[scheme]:
        netloc = f"{netloc}:{port}"
    return urlunsplit((scheme, netloc, parts.path, parts.query, ""))


@functools.lru_cache(maxsize=4096)
def chat_url(base: str, family: str) -> str:
    """The URL of a chat request below a base URL, joined as C-21 says; a query string of the base stays.

    The family's path is appended unless the base already ends in it. For openai-completions a trailing
    `/responses` is dropped first, and the bare host api.openai.com gets `/v1`.
    """
    parts = urlsplit(base)
    path = parts.path.rstrip("/")
    tail = FAMILIES[family].chat_path
    if family == OPENAI_COMPLETIONS:
        path = path.removesuffix("/responses")
        if not path and parts.hostname == "api.openai.com":
            path = "/v1"
    if tail and not path.endswith(f"/{tail}"):
        path = f"{path}/{tail}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
