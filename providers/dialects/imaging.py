"""Pictures that are asked for in words, whatever dialect that is said in; what a dialect of them must do. Pure.

As embeddings have, pictures have dialects of their own (`registry.IMAGE_UPSTREAMS`), which do not follow those of chat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from providers.dialects.canon import BadAnswer, Target, Written

#: Pictures that one request may ask for.
MOST_IMAGES: Final = 10
#: Pixels of a side, and steps of a picture, that a caller may choose: one job must not keep a machine for an hour, nor
#: take more memory than it has.
MOST_PIXELS: Final = 4096
MOST_STEPS_ASKED: Final = 150


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `width` and `height` in pixels, `steps` and `seed` are None where the client did not say.

    `negative`: what is not to be seen. `as_url`: the client wants URLs in place of the pictures. `extras`: members that
    only the client's dialect knows.
    """

    prompt: str
    count: int = 1
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    steps: int | None = None
    negative: str = ""
    as_url: bool = False
    extras: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True):
    """The pictures, in base64."""

    images: list[str]


class ImageUpstream(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream is asked, and understood."""

    #: (the request, the target, how many others wait there) Raises canon.Misfit. `dropped` is in OpenAI's words.
    write_request: Callable[[Request, Target, int], Written]
    #: Raises canon.BadAnswer.
    read_answer: Callable[[bytes], Answer]


def no_images() -> BadAnswer:
    """What is wrong with an answer without any."""
    return BadAnswer("the upstream's answer holds no pictures")
