"""A job for an image worker, and the pictures it comes back with. Pure.

A job names as many prompts as pictures are wanted. Many workers paint the first of them alone: fewer pictures than
prompts are an answer. Workers differ in what they put around the base64 of a picture, so it is looked for where they
are known to have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from providers.dialects.canon import Target, Written
from providers.dialects.imaging import MOST_IMAGES, Answer, ImageUpstream, Request, no_images
from providers.dialects.values import value_of

NAME: Final = "image_worker"
#: Pixels of a side that the client did not choose (C-39).
SIDE: Final = 1024
#: Steps of a worker that has time, and of one that has none (C-38).
MOST_STEPS: Final = 4
LEAST_STEPS: Final = 1
#: Where pictures are, in an object around them and in one of its own.
_AROUND: Final = ("images", "data", "output", "result")
_WITHIN: Final = ("image", "b64_json", "base64", "image_base64")
_DATA_URL: Final = re.compile(r"data:[^,]{0,128},")
#: Lists and objects inside one another that are looked into.
_DEPTH: Final = 4
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_=\r\n-]{1,128}")


def write_request(request: Request, target: Target, waiting: int) -> Written:
    """The job. What the client does not say of it, the worker decides, but for size and steps."""
    body: dict[str, Any] = {
        "prompts": [request.prompt] * request.count,
        "width": request.width or SIDE,
        "height": request.height or SIDE,
        "steps": request.steps or steps_for(waiting),
    }
    if request.seed is not None:
        body["seed"] = request.seed
    if request.negative:
        body["negative_prompt"] = request.negative
    return Written(body, ("response_format",) if request.as_url else ())


def steps_for(waiting: int) -> int:
    """How much care a picture gets while so many others wait for the worker: a step less for each of them."""
    return max(LEAST_STEPS, MOST_STEPS - max(waiting, 0))


def read_answer(body: bytes) -> Answer:
    """The pictures. Raises BadAnswer."""
    images = list(islice(_images(value_of(body)), MOST_IMAGES))
    if not images:
        raise no_images()
    return Answer(images)


def _images(found: Any, depth: int = 0) -> Iterator[str]:
    """Every picture in a value: base64, a data URL, or either of them in what workers put around."""
    if isinstance(found, str):
        url = _DATA_URL.match(found)
        data = found[url.end() :] if url is not None else found
        if _BASE64.fullmatch(data[:128]):
            yield data
    elif depth == _DEPTH:
        return
    elif isinstance(found, list):
        for each in found:
            yield from _images(each, depth + 1)
    elif isinstance(found, dict):
        name = next((name for name in (*_WITHIN, *_AROUND) if found.get(name)), "")
        yield from _images(found.get(name), depth + 1)


IMAGE_WORKER: Final = ImageUpstream(write_request=write_request, read_answer=read_answer)
