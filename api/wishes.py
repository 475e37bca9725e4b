"""What of a request's body decides where it goes: the caller's own order of models, and what a model must be able to.

Needs are read where there is a choice only, and from the bytes: marks that a request of a client's dialect has where it
shows an image, and members by name. A text that quotes such marks has its quotes escaped and is no match.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

import msgspec

from api.errors import ApiError, Fault
from providers.dialects.jsonio import Fields, read_object
from routing.fitting import Needs
from routing.resolve import MOST_LISTED

_MODELS: Final = "models"
_IMAGE: Final = re.compile(
    rb'"(?:image_url|input_image|inline_?[dD]ata|file_?[dD]ata)"\s*[:,}]|"type"\s*:\s*"(?:image|input_image)"'
)
_SCHEMA: Final = re.compile(rb'"(?:json_schema|response_?[sS]chema|response_?[jJ]son_?[sS]chema)"\s*[:,}]')
_NOTHING: Final = (None, b"null", b"[]")
#: Members that may hold a schema that the answer is held to.
_FORMATS: Final = ("response_format", "text", "output_config", "output_format", "generationConfig", "generation_config")
#: Members that name a session or a user.
_NAMED: Final = ("prompt_cache_key", "session_id", "safety_identifier", "user")
#: Members that a conversation begins with, in the dialects of clients.
_BEGINNINGS: Final = ("system", "instructions", "systemInstruction", "messages", "input", "contents", "prompt")
_OF_USER: Final = re.compile(rb'"role"\s*:\s*"user"')
#: Bytes of JSON for a token, about: the length of a context is known no better than this before it is counted.
_BYTES_PER_TOKEN: Final = 4


def listed(fields: Fields) -> tuple[str, ...]:
    """The models that a caller lists in its own order. Raises ApiError."""
    raw = fields.get(_MODELS)
    if raw is None or raw in _NOTHING:
        return ()
    try:
        names = msgspec.json.decode(raw, type=list[str])
    except msgspec.ValidationError:
        names = []
    names = [name.strip() for name in names]
    if not names or not all(names) or len(names) > MOST_LISTED:
        text = f"`models` must be a list of one to {MOST_LISTED} names."
        raise ApiError(Fault.INVALID_PARAMETER, text, param=_MODELS)
    return tuple(names)


def without_list(fields: Fields) -> Fields:
    """The request as upstreams get it: the list is for this gateway."""
    if _MODELS not in fields:
        return fields
    fields.remove(_MODELS)
    return read_object(fields.body())


def affinity_of(fields: Fields, project_id: int, session: str) -> bytes:
    """What the requests of one conversation have in common: a session or user that they name, else how they begin.

    `session`: what a header says. A conversation begins with its instructions and the first words of the user.
    """
    named = session or next((found for name in _NAMED if (found := fields.text(name))), "")
    parts = [named.encode()] if named else [part for name in _BEGINNINGS if (part := _beginning(fields.get(name)))]
    return blake2b(b"\0".join((b"%d" % project_id, *parts)), digest_size=16).digest()


def _beginning(raw: bytes | None) -> bytes:
    """A member up to the first message of the user; whole, where it is no list of messages."""
    if raw is None or not raw.startswith(b"["):
        return raw or b""
    found: list[bytes] = []
    for item in msgspec.json.decode(raw, type=list[msgspec.Raw]):
        found.append(bytes(item))
        if _OF_USER.search(found[-1]) is not None:
            break
    return b"".join(found)


def needs_of(fields: Fields, *, stream: bool) -> Needs:
    """What the request needs of a model."""
    body = fields.body()
    images = _IMAGE.search(body) is not None
    return Needs(
        stream=stream,
        tools=fields.get("tools") not in _NOTHING,
        images=images,
        schema=any(_SCHEMA.search(fields.get(name) or b"") is not None for name in _FORMATS),
        # A picture's bytes are not its tokens.
        tokens=0 if images else len(body) // _BYTES_PER_TOKEN,
    )
