"""The list of models that an upstream gives: where it is asked for, and what of it is believed. Pure.

Whoever answers at an upstream's address writes this list, so it is hostile: names that no model name may be are counted
and not kept, a long list is cut, and what is no list at all is one clear error.
"""

from __future__ import annotations

import re
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
#: Where an answer has its models, and where one of these has its id.
_ROWS: Final = ("data", "models", "modelSummaries", "inferenceProfileSummaries")
_IDS: Final = ("id", "model", "name", "modelId", "inferenceProfileId")
#: How an answer names what comes after it.
_NEXT: Final = ("nextPageToken", "next_page_token", "nextToken")
#: AWS's hosts for requests to Bedrock, in all partitions and of FIPS; its lists are at their siblings.
_AWS_RUNTIME: Final = re.compile(
    r"bedrock-runtime(?=(?:-fips)?\.[a-z0-9-]+\."
    r"(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)\Z)"
)
#: Ways to call a model of Bedrock by its id; what is provisioned is called by an ARN of its own.
_CALLABLE: Final = frozenset(("ON_DEMAND", "INFERENCE_PROFILE"))


class BadList(ValueError):
    """The answer is no list of models."""


class Source(msgspec.Struct, frozen=True):
    """Where an API lists its models. `ending`: what a base URL for requests may end in and one for lists does not.

    `control`: at AWS, the list is at the control plane's host of the same region, which is as much AWS's own.
    """

    path: str
    query: str = ""
    ending: str = ""
    control: bool = False


class Listing(msgspec.Struct, frozen=True):
    """What was believed. `refused`: how many names were not. `whole`: nothing says that there are more models."""

    names: tuple[str, ...]
    refused: int = 0
    whole: bool = True


_OPENAI: Final = Source("/models")
_OLLAMA: Final = Source("/api/tags", ending="/v1")
#: ListFoundationModels and ListInferenceProfiles of the service `bedrock`, API version 2023-04-20.
_BEDROCK: Final = (
    Source("/foundation-models", control=True),
    Source("/inference-profiles", "maxResults=1000", control=True),
)
_SOURCES: Final[dict[str, tuple[Source, ...]]] = {
    OPENAI_COMPLETIONS: (_OPENAI,),
    OPENAI_RESPONSES: (_OPENAI,),
    "github-copilot": (_OPENAI,),
    "anthropic-messages": (Source("/v1/models", "limit=1000", ending="/v1"),),
    "google-generative-ai": (Source("/models", "pageSize=1000"),),
    "cohere-chat": (Source("/v1/models", "page_size=1000", ending="/v2"),),
    "ollama-native": (_OLLAMA,),
    "bedrock-converse": _BEDROCK,
    "bedrock-converse-stream": _BEDROCK,
}
#: Providers that list their models elsewhere than their family does: Ollama's own API says more (C-09).
_OF_PROVIDER: Final[dict[str, tuple[Source, ...]]] = {"ollama": (_OLLAMA,)}


def sources_of(provider: ProviderEntry, family: str) -> tuple[Source, ...]:
    """Where this provider lists its models, all of which make the list; empty: nowhere that is known."""
    if family not in _SOURCES:
        return ()
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
        if source.control and _AWS_RUNTIME.match(parts.netloc):
            parts, path = parts._replace(netloc=_AWS_RUNTIME.sub("bedrock", parts.netloc)), ""
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
        rows = next((found[name] for name in _ROWS if isinstance(found.get(name), list)), None)
    if not isinstance(rows, list):
        raise BadList("the answer holds no list of models")
    goes_on = isinstance(found, dict) and (found.get("has_more") is True or any(found.get(name) for name in _NEXT))
    return _believed(filter(_is_callable, rows), whole=not goes_on)


def joined(lists: Iterable[Listing]) -> Listing:
    """Several lists as one."""
    lists = tuple(lists)
    names = dict.fromkeys(name for one in lists for name in one.names)
    return Listing(tuple(names), sum(one.refused for one in lists), all(one.whole for one in lists))


def is_judged(model: str) -> bool:
    """Whether a list would have this model: what is called by an ARN is a customer's own, and in none."""
    return not model.startswith("arn:")


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


def _is_callable(row: Any) -> bool:
    ways = row.get("inferenceTypesSupported") if isinstance(row, dict) else None
    return not isinstance(ways, list) or not ways or any(isinstance(way, str) and way in _CALLABLE for way in ways)


def _name(row: Any) -> str | None:
    """A model's id, in the member that the API has it in."""
    if isinstance(row, dict):
        row = next((row[name] for name in _IDS if isinstance(row.get(name), str)), None)
    return row.removeprefix(_PREFIX) if isinstance(row, str) else None
