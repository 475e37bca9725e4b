"""Where a request goes: URL templates, their variables, and the origin that a key's seal is bound to. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from providers.entries import AccountEntry, ProviderEntry
from providers.families import FAMILIES, OPENAI_COMPLETIONS, OPENAI_RESPONSES

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_SLOT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
#: The upstream model in a URL template: it is known last.
MODEL: Final = "{model}"
_MARK: Final = "~model~"
_OTHERS_ENDPOINT: Final = {OPENAI_COMPLETIONS: ("/responses",), OPENAI_RESPONSES: ("/chat/completions",)}
#: (host, family) -> what a base URL without a path means.
_BARE_HOSTS: Final = {
    ("api.openai.com", OPENAI_COMPLETIONS): "/v1",
    ("api.openai.com", OPENAI_RESPONSES): "/v1",
    ("api.cohere.com", "cohere-chat"): "/v2",
    ("generativelanguage.googleapis.com", "google-generative-ai"): "/v1beta",
}
_AZURE_HOSTS: Final = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_DEPLOYMENT: Final = re.compile(r"/deployments/[^/]+")
_API_VERSION: Final = re.compile(r"api-version=[^&]*")
_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~\-]*\Z")


class BadUrl(ValueError):
    """A base URL that no request may be sent to."""


class UnfilledVariable(BadUrl):
    """A URL template, or a family, names a variable that has no value: nothing is sent (A-26)."""

    def __init__(self, name: str, what: str = "URL") -> None:
        super().__init__(f"the {what} needs a value for '{name}'")
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


def body_members(family: str, variables: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What a host of this family wants in the body of every request: constants, and variables of the account.

    Raises UnfilledVariable.
    """
    known = FAMILIES[family]
    if not known.variables:
        return known.body
    for name in known.variables:
        if not variables.get(name, "").strip():
            raise UnfilledVariable(name, "request")
    return (*known.body, *((name, variables[name].strip()) for name in known.variables))


def template_of(provider: ProviderEntry, account: AccountEntry, family: str) -> str:
    """What the base URL for one family of one account is made of: its own, else the provider's; empty for neither."""
    return account.base_url or provider.families.get(family) or provider.base_url


def base_url(
    provider: ProviderEntry,
    account: AccountEntry,
    key_set_vars: Mapping[str, str],
    family: str,
    location: str = "",
) -> str:
    """The base URL for one family of one account: the account's own, else the provider's for that family, filled.

    `{model}` stays for `call_url`; so does the deployment of an account that names none, which is the model's then
    (C-22). `location` is a route's own. Raises UnfilledVariable or BadUrl: a configuration error, found before anything
    is sent.
    """
    template = template_of(provider, account, family)
    if not template:
        raise UnfilledVariable("base_url")
    if account.base_url and family == "azure-openai":
        template = _whole_azure(template, {**account.variables, **key_set_vars})
    if "{" not in template:
        return _normal(template)
    values = variables_of(provider, account, key_set_vars)
    if location:
        values["location"] = location
    worldwide = provider.quirks.get("global_host")
    if worldwide and values.get("location") == "global":
        template = template.replace(f"{{location}}-{worldwide}", str(worldwide))
    if "deployment" not in values:
        template = template.replace("{deployment}", MODEL)
    return _normal(fill(template.replace(MODEL, _MARK), values)).replace(_MARK, MODEL)


def _whole_azure(url: str, said: Mapping[str, str]) -> str:
    """What an account wrote of its place at Azure, made whole (C-22): the deployment and api-version that are said as
    variables come before those in the URL, which come before the model's name and the default.

    Hosts that are not Azure's own have their own rules, and `/openai/v1` has neither.
    """
    parts = urlsplit(url)
    if not parts.netloc.lower().endswith(_AZURE_HOSTS) or "/openai/v1" in parts.path:
        return url
    path, query = parts.path.rstrip("/"), parts.query
    if "/deployments/" not in path:
        path = f"{path.removesuffix('/openai')}/openai/deployments/{{deployment}}"
    elif said.get("deployment"):
        path = _DEPLOYMENT.sub("/deployments/{deployment}", path)
    if "api-version=" not in query:
        query = "&".join(filter(None, (query, "api-version={api_version}")))
    elif said.get("api_version"):
        query = _API_VERSION.sub("api-version={api_version}", query)
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


@functools.lru_cache(maxsize=4096)
def _normal(url: str) -> str:
    """The URL with its host as it is called and sealed: lower case, punycode, no default port. Raises BadUrl."""
    scheme, host, port = host_and_port(url)
    parts = urlsplit(url)
    netloc = f"[{host}]" if ":" in host else host
    if port != _DEFAULT_PORTS[scheme]:
        netloc = f"{netloc}:{port}"
    return urlunsplit((scheme, netloc, parts.path, parts.query, ""))


@functools.lru_cache(maxsize=16384)
def call_url(base: str, family: str, model: str, stream: bool = False, instead: str = "") -> str:
    """The URL of a request for `model` below a base URL, joined as C-21 says; a query string of the base stays.

    The family's path is appended, without the segments that the base already ends in. The OpenAI families take each
    other's endpoint off first, and bare hosts of the vendors get their version. `instead` stands in place of that path.
    """
    parts = urlsplit(base)
    path = parts.path.rstrip("/")
    known = FAMILIES[family]
    tail, _, query = ((known.stream_path if stream else "") or known.path).partition("?")
    for other in (*_OTHERS_ENDPOINT.get(family, ()), *((f"/{instead}",) if instead else ())):
        path = path.removesuffix(other)
    if not path:
        path = _BARE_HOSTS.get((parts.hostname or "", family), "")
    path = _joined(path, tail)
    if instead:
        path = path.removesuffix(tail) + instead
    path = path.replace(MODEL, quote(model, safe="@"))
    return urlunsplit((parts.scheme, parts.netloc, path, _asked(parts.query, query), ""))


def _asked(query: str, more: str) -> str:
    """A query string with what a family adds to it, unless it says that itself."""
    said = {pair.partition("=")[0] for pair in query.split("&")}
    added = [pair for pair in more.split("&") if pair.partition("=")[0] not in said]
    return "&".join(filter(None, (query, *added)))


def _joined(path: str, tail: str) -> str:
    """`path` and `tail`, whose common segments (the end of one, the beginning of the other) come once."""
    if not tail:
        return path
    if tail.startswith(":"):
        return path.removesuffix(tail) + tail
    segments, more = path.split("/"), tail.split("/")
    common = next((n for n in range(min(len(segments), len(more)), 0, -1) if segments[-n:] == more[:n]), 0)
    return "/".join([*segments, *more[common:]])
