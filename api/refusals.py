"""What a refusal says about itself where no view was reached: in the protocol, and before or beside the views."""

from __future__ import annotations

import re
from typing import Final

from api.answer import JSON, Answer, Pairs
from api.errors import ApiError
from api.usage import new_request_id
from providers.families import OPENAI_CHAT
from routing.store import store

_GOOGLES: Final = re.compile(r"/v1(?:beta|alpha)(?:/|\Z)|/v1/models/.*:[A-Za-z]+\Z")
_OTHERS: Final = {"messages": "anthropic_messages", "responses": "openai_responses"}


def dialect_of(path: str) -> str:
    """What a client that asks for this path speaks, as far as the path tells: OpenAI's chat where it does not."""
    if _GOOGLES.match(path):
        return "google_generate"
    room, _, rest = path.removeprefix("/").partition("/")
    return _OTHERS.get(rest.partition("/")[0], OPENAI_CHAT) if room == "v1" else OPENAI_CHAT


def told(error: ApiError, request_id: str = "") -> Pairs:
    """Its headers without content-length: code, request id (a fresh one unless given), revision if one serves."""
    pairs = [
        JSON,
        (b"x-jackfield-error", error.fault.code.encode()),
        (b"x-jackfield-request-id", (request_id or new_request_id()).encode()),
    ]
    if store.source:
        pairs.append((b"x-jackfield-revision", b"%d" % store.current.revision))
    pairs += [(name.encode(), value.encode()) for name, value in error.headers.items()]
    return pairs


def refusal(error: ApiError, request_id: str = "", path: str = "") -> Answer:
    """The whole answer, in the dialect of the path that was asked for."""
    return Answer(error.body(dialect_of(path)), told(error, request_id), error.status_code)
