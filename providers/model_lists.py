"""The list of models that an upstream gives: where it is asked for, and what of it is believed. Pure.

Whoever answers at an upstream's address writes this list, so it is hostile: names that no model name may be are counted
and not kept, a long list is cut, and what is no list at all is one clear error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from providers.dialects.values import UNREADABLE
from providers.entries import ProviderEntry
from providers.families import OPENAI_COMPLETIONS, OPENAI_RESPONSES
from providers.hosts import call_url
from providers.names import MODEL_NAME

#: Bytes that are read of a list, names that are kept.
MOST_BYTES: Final = 4 * 1024 * 1024
MOST_NAMES: Final = 5_000
_PREFIX: Final = "models/"


class BadList(ValueError):
    """The answer is no list of models."""


class Source(msgspec.Struct, frozen=True):
    """Where an API lists its models. `ending`: what a base URL for requests may end in and one for lists does not."""

    path: str
    query: str = ""
    ending: str = ""


class Listing(msgspec.Struct, frozen=True):
    """What was believed. `refused`: how many names were not. `whole`: nothing says that there are more models."""

    names: tuple[str, ...]
    refused: int = 0
    whole: bool = True


_OPENAI: Final = Source("/models")
_OLLAMA: Final = Source("/api/tags", ending="/v1")
_SOURCES: Final[dict[str, Source]] = {
    OPENAI_COMPLETIONS: _OPENAI,
    OPENAI_RESPONSES: _OPENAI,
    "github-copilot": _OPENAI,
    "anthropic-messages": Source("/v1/models", "limit=1000", ending="/v1"),
    "google-generative-ai": Source("/models", "pageSize=1000"),
    "cohere-chat": Source("/v1/models", "page_size=1000", ending="/v2"),
    "ollama-native": _OLLAMA,
}
#: Providers that list their models elsewhere than their family does: Ollama's own API says more (C-09).
_OF_PROVIDER: Final[dict[str, Source]] = {"ollama": _OLLAMA}


def source_of(provider: ProviderEntry, family: str) -> Source | None:
    """Where this provider lists its models; None: nowhere that is known."""
    if family not in _SOURCES:
        return None
    return _OF_PROVIDER.get(provider.slug, _SOURCES[family])


def list_url(base: str, family: str, source: Source) -> str:
    """The URL of the list, beside the one that requests go to."""
    if source is _OPENAI:
        # As a request's URL is made, with its hosts' peculiarities.
        parts = urlsplit(call_url(base, family, ""))
        path = parts.path.removesuffix("/chat/completions").removesuffix("/responses")
    else:
        parts = urlsplit(base)
        path = parts.path.rstrip("/")
        if family == "google-generative-ai" and not path:
            path = "/v1beta"
    path = path.removesuffix(source.ending) + source.path
    query = "&".join(filter(None, (parts.query, source.query)))
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def read_list(body: bytes) -> Listing:
    """The names in an answer, each once, in their order. Raises BadList."""
    if len(body) > MOST_BYTES:
        raise BadList(f"the list is longer than {MOST_BYTES // 1024 // 1024} MiB")
    try:
        found = msgspec.json.decode(body)
    except UNREADABLE:
        raise BadList("the answer is not JSON") from None
    rows = found
    if isinstance(found, dict):
        rows = found.get("data") if isinstance(found.get("data"), list) else found.get("models")
    if not isinstance(rows, list):
        raise BadList("the answer holds no list of models")
    whole = not (isinstance(found, dict) and (found.get("has_more") is True or found.get("nextPageToken")))
    if isinstance(found, dict) and found.get("next_page_token"):
        whole = False
    return _believed(rows, whole=whole)


def _believed(rows: Iterable[Any], *, whole: bool) -> Listing:
    names: dict[str, None] = {}
    refused = 0
    for row in rows:
        name = _name(row)
        if name is None or MODEL_NAME.match(name) is None:
            refused += 1
        elif len(names) < MOST_NAMES or name in names:
            names[name] = None
        else:
            whole = False
    return Listing(tuple(names), refused, whole)


def _name(row: Any) -> str | None:
    """A model's id, in the member that the API has it in."""
    if isinstance(row, dict):
        row = next((row[name] for name in ("id", "model", "name") if isinstance(row.get(name), str)), None)
    return row.removeprefix(_PREFIX) if isinstance(row, str) else None
