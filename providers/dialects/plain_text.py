"""What upstreams that know nothing but words can be asked, and what of a request they cannot. Pure."""

from __future__ import annotations

import base64
from typing import Final

from providers.dialects.canon import Media, Misfit, Part, Refusal, Request, Text, Thinking

#: Between texts that were apart.
BETWEEN: Final = "\n\n"
#: Members of a request that are left out without harm, by their names in OpenAI's API.
_KNOBS: Final = (
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logit_bias",
    "user",
    "metadata",
    "service_tier",
    "store",
    "verbosity",
)
#: The same, of which every upstream here knows some.
_USUAL: Final = ("max_tokens", "temperature", "top_p", "stop")


def left_out(request: Request, known: frozenset[str] = frozenset()) -> dict[str, None]:
    """What of the request's members is not said; `known` are those that are. Raises Misfit where that would matter."""
    refuse(request)
    names = (name for name in (*_USUAL, *_KNOBS) if name not in known)
    dropped = dict.fromkeys(name for name in names if getattr(request, name) not in (None, "", ()))
    if request.cache_key:
        dropped["prompt_cache_key"] = None
    if request.reasoning is not None:
        dropped["reasoning_effort"] = None
    dropped.update(dict.fromkeys(request.extras))
    return dropped


def refuse(request: Request) -> None:
    """Raises Misfit for what no answer of plain text can be."""
    wanted = (
        ("tools", "tools", request.tools),
        ("logprobs", "log probabilities", request.logprobs),
        ("n", "more than one answer", request.n is not None and request.n > 1),
        ("response_format", "answers of a given form", request.format is not None),
        ("modalities", "answers other than text", any(kind != "text" for kind in request.modalities)),
    )
    for param, what, asked in wanted:
        if asked:
            raise Misfit(f"This model's provider does not take {what}: leave it out.", param, unsupported=True)


def words_of(parts: tuple[Part, ...], dropped: dict[str, None]) -> str:
    """The words of a message. Raises Misfit for what is none."""
    texts: list[str] = []
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                texts.append(text)
                if isinstance(part, Text) and part.cache is not None:
                    dropped["cache_control"] = None
            case Thinking():
                dropped["thinking"] = None
            case Media(kind="document") if part.text or part.media_type.startswith("text/"):
                texts += [part.name, part.text or _decoded(part.data)]
            case _:
                what = part.kind if isinstance(part, Media) else "part of a tool call"
                raise Misfit(f"This model's provider reads text only, and no {what}.", "messages", unsupported=True)
    return BETWEEN.join(text for text in texts if text)


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except ValueError as error:
        raise Misfit("A document's data is not text in base64.", "messages") from error
