"""What `explain` may be asked beside a model's name: for which project, at which endpoint, needing what. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from providers.families import OPENAI_CHAT, OPENAI_EMBEDDINGS, OPENAI_IMAGES
from routing.fitting import NOTHING, Needs
from routing.snapshot import EMBEDDING, IMAGE, TEXT


class Endpoint(NamedTuple):
    """The dialect that requests come in there, and the service they ask for."""

    dialect: str
    service: str = TEXT


#: By the last part of its path.
ENDPOINTS: Final = {
    "chat/completions": Endpoint(OPENAI_CHAT),
    "completions": Endpoint("openai_completions"),
    "responses": Endpoint("openai_responses"),
    "messages": Endpoint("anthropic_messages"),
    "generateContent": Endpoint("google_generate"),
    "embeddings": Endpoint(OPENAI_EMBEDDINGS, EMBEDDING),
    "images/generations": Endpoint(OPENAI_IMAGES, IMAGE),
}
#: Where models of a service are asked that are not for chat.
_OF_SERVICES: Final = {EMBEDDING: ENDPOINTS["embeddings"], IMAGE: ENDPOINTS["images/generations"]}
#: What a request may need, beside a length.
WORDS: Final = ("stream", "tools", "images", "schema")


class BadQuestion(ValueError):
    """The question cannot be understood; the message says what can be."""


def endpoint_of(name: str) -> Endpoint:
    """Raises BadQuestion."""
    found = ENDPOINTS.get(name.strip().removeprefix("/v1/"))
    if found is None:
        raise BadQuestion(f"there is no endpoint '{name}'; there are {', '.join(ENDPOINTS)}")
    return found


def endpoint_for(service: str) -> Endpoint:
    """Where models of this service are asked, in the dialect of OpenAI's SDK."""
    return _OF_SERVICES.get(service, ENDPOINTS["chat/completions"])


def needs_of(text: str) -> Needs:
    """The needs that a list such as `tools,images,8000` names; a number is the length in tokens. Raises BadQuestion."""
    needs = NOTHING
    for word in filter(None, map(str.strip, text.split(","))):
        if word.isascii() and word.isdigit() and len(word) < 10:
            needs = msgspec.structs.replace(needs, tokens=int(word))
        elif word in WORDS:
            needs = msgspec.structs.replace(needs, **{word: True})
        else:
            raise BadQuestion(f"'{word}' cannot be needed; what can are {', '.join(WORDS)} and a number of tokens")
    return needs
