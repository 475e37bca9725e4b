"""Pictures as OpenAI has them (POST /v1/images/generations), and all who took it over. Pure.

Beside OpenAI's own members `seed`, `steps` and `negative_prompt` are read, which image workers know, as its SDKs send
them in `extra_body`. A seed below 0 is none, as many image APIs have it.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import msgspec

from providers.dialects.canon import Misfit
from providers.dialects.imaging import MOST_IMAGES, MOST_PIXELS, MOST_STEPS_ASKED, Answer, Request
from providers.dialects.jsonio import Fields, quote, read_trusting
from providers.dialects.usage import Usage, read_openai_usage
from providers.dialects.values import UNREADABLE, holds_too_many, value_in

NAME: Final = "openai_images"
_KNOWN: Final = frozenset(
    {"model", "prompt", "n", "size", "response_format", "stream", "seed", "steps", "negative_prompt"}
)
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})\Z")
_MOST_SEED: Final = 2**63 - 1


class _Datum(msgspec.Struct):
    """A picture, or what went wrong with it: some upstreams tell that in its place."""

    b64_json: msgspec.Raw = msgspec.Raw()
    url: msgspec.Raw = msgspec.Raw()


_decode_data: Final = msgspec.json.Decoder(list[_Datum]).decode
_encode: Final = msgspec.json.Encoder().encode


def read_request(body: dict[str, Any]) -> Request:
    """The request. Raises Misfit."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise Misfit("`prompt` must be a text.", "prompt")
    width, height = _size(body.get("size"))
    seed = _whole(body, "seed", -_MOST_SEED, _MOST_SEED)
    negative = body.get("negative_prompt") or ""
    if not isinstance(negative, str):
        raise Misfit("`negative_prompt` must be a text.", "negative_prompt")
    form = body.get("response_format")
    if form not in (None, "url", "b64_json"):
        raise Misfit("`response_format` must be b64_json or url.", "response_format")
    return Request(
        prompt=prompt,
        count=_whole(body, "n", 1, MOST_IMAGES) or 1,
        width=width,
        height=height,
        seed=seed if seed is not None and seed >= 0 else None,
        steps=_whole(body, "steps", 1, MOST_STEPS_ASKED),
        negative=negative,
        as_url=form == "url",
        extras={name: value for name, value in body.items() if name not in _KNOWN and value is not None},
    )


def _size(found: Any) -> tuple[int, int] | tuple[None, None]:
    if found in (None, "auto"):
        return None, None
    size = _SIZE.match(found) if isinstance(found, str) else None
    if size is None:
        raise Misfit("`size` must be auto, or width and height in pixels as in 1024x1024.", "size")
    width, height = int(size[1]), int(size[2])
    if max(width, height) > MOST_PIXELS:
        raise Misfit(f"`size` may be {MOST_PIXELS}x{MOST_PIXELS} at most.", "size")
    return width, height


def _whole(body: dict[str, Any], name: str, least: int, most: int) -> int | None:
    found = body.get(name)
    if found is None:
        return None
    if type(found) is not int or not least <= found <= most:
        raise Misfit(f"`{name}` must be a whole number from {least} to {most}.", name)
    return found


def write_answer(answer: Answer, public_model: str) -> bytes:
    """The pictures, with the public model's name, which OpenAI leaves out: who asks for `auto` is told what served."""
    data = [{"b64_json": image} for image in answer.images]
    return _encode({"created": int(time.time()), "data": data, "model": public_model})


def splice(body: bytes, public_model: str) -> tuple[bytes, Usage | None]:
    """The answer with `model` said, and its usage; every other byte stays. Raises jsonio.BadBody."""
    fields = read_trusting(body)
    raw = fields.get("usage")
    usage = (read_openai_usage(value_in(raw)) if raw is not None else None) or Usage()
    images = _count(fields)
    known = msgspec.structs.replace(usage, images=images) if images is not None else usage
    return fields.replace("model", quote(public_model)), None if known == Usage() else known


def _count(fields: Fields) -> int | None:
    """How many pictures there are; None where that cannot be told."""
    raw = fields.get("data")
    try:
        data = _decode_data(raw) if raw is not None and not holds_too_many(raw) else None
    except UNREADABLE:
        return None
    return None if data is None else sum(1 for each in data if _is_said(each.b64_json) or _is_said(each.url))


def _is_said(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null")
