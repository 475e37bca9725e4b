"""The legacy completions endpoint (POST /v1/completions): one prompt in, text out. Pure.

Its requests are read as a chat of one message, so that any model can answer them; what only models of plain text can
do (`echo`, `suffix`, `best_of`, several prompts, tokens, their log probabilities) is refused. Where client and upstream
both speak it, its answers and streams are relayed as chat's are.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Answer,
    Began,
    Choice,
    Counted,
    Delta,
    Grew,
    Message,
    Misfit,
    PartBegan,
    Refusal,
    Request,
    Stopped,
    Text,
)
from providers.dialects.dialect import Client
from providers.dialects.openai_chat.errors import envelope, event
from providers.dialects.openai_chat.request import read_knobs, read_stop, wants_usage
from providers.dialects.openai_chat.response import splice
from providers.dialects.openai_chat.stream import DONE, Tap
from providers.dialects.openai_chat.words import own_id, usage_words
from providers.dialects.usage import Usage

NAME: Final = "openai_completions"
_encode: Final = msgspec.json.Encoder().encode
_SAMPLING: Final = (
    "temperature",
    "top_p",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "top_k",
    "logit_bias",
    "seed",
)
_ASKED: Final = ("model", "prompt", "stream", "n", "user", "service_tier", "max_tokens", "stop")
_OTHERS: Final = ("stream_options", "suffix", "echo", "best_of", "logprobs")
_KNOBS: Final = frozenset((*_SAMPLING, *_ASKED, *_OTHERS))
_WORDS: Final = {"length": "length", "filter": "content_filter", "refusal": "content_filter", "error": "error"}


def read_request(body: dict[str, Any]) -> Request:
    """The request. Raises Misfit."""
    for name, harmless in (
        ("echo", (None, False)),
        ("suffix", (None, "")),
        ("best_of", (None, 1)),
        ("logprobs", (None,)),
    ):
        if body.get(name) not in harmless:
            raise Misfit(f"`{name}` is not supported here: leave it out.", name, unsupported=True)
    options = body.get("stream_options")
    chat = {name: value for name, value in body.items() if name in _KNOBS and name != "logprobs"}
    return Request(
        dialect=NAME,
        messages=(Message("user", (Text(_prompt(body.get("prompt"))),)),),
        stop=read_stop(body.get("stop")),
        extras={name: value for name, value in body.items() if name not in _KNOBS and value is not None},
        notes={} if options is None else {"stream_options": options},
        **read_knobs(chat),
    )


def _prompt(found: Any) -> str:
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, str):
        return found
    if isinstance(found, list) and found:
        raise Misfit("`prompt` must be one text: send several prompts one by one.", "prompt", unsupported=True)
    raise Misfit("`prompt` must be a string.", "prompt")


def _word(stop: str) -> str:
    return _WORDS.get(stop, "stop")


def _head(answer_id: str, created: int, public_model: str) -> dict[str, Any]:
    # Never of this dialect's own making: an upstream's id of any dialect is put in this one's form.
    said = {"id": own_id(answer_id, "", "cmpl-"), "object": "text_completion", "created": created}
    return {**said, "model": public_model}


def write_answer(answer: Answer, public_model: str, _: Request) -> bytes:
    """The completion, under the public model's name."""
    written = _head(answer.id, answer.created, public_model)
    written["choices"] = [_choice(choice) for choice in answer.choices]
    if answer.usage is not None:
        written["usage"] = usage_words(answer.usage)
    return _encode(written)


def _choice(choice: Choice) -> dict[str, Any]:
    text = "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal))
    return {"text": text, "index": choice.index, "logprobs": None, "finish_reason": _word(choice.stop)}


class Writer:
    """A stream of text. The usage comes in a last chunk if `stream_options.include_usage` asked for it."""

    def __init__(self, public_model: str, request: Request) -> None:
        self._asked_usage = wants_usage(request)
        self._model = public_model
        self._base = _head("", 0, public_model)
        self._usage: Usage | None = None
        #: choices whose open part is text
        self._speaks: dict[int, bool] = {}

    def feed(self, delta: Delta) -> bytes:
        """The chunk that says this, if it is text."""
        match delta:
            case Began(answer_id, _, created):
                self._base = _head(answer_id, created, self._model)
            case PartBegan(_, part, choice):
                self._speaks[choice] = isinstance(part, Text | Refusal)
            case Grew(_, text, choice) if text and self._speaks.get(choice):
                return self._chunk(choice, text, None)
            case Stopped(stop, choice):
                return self._chunk(choice, "", _word(stop))
            case Counted(usage):
                self._usage = usage
            case _:
                pass
        return b""

    def end(self) -> bytes:
        """The usage, if it was asked for, and the end."""
        if not self._asked_usage or self._usage is None:
            return DONE
        return _event({**self._base, "choices": [], "usage": usage_words(self._usage)}) + DONE

    def _chunk(self, choice: int, text: str, finish: str | None) -> bytes:
        said = {"text": text, "index": choice, "logprobs": None, "finish_reason": finish}
        return _event({**self._base, "choices": [said], **({"usage": None} if self._asked_usage else {})})


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _encode(chunk) + b"\n\n"


OPENAI_COMPLETIONS_LEGACY: Final = Client(
    read_request=read_request,
    write_answer=write_answer,
    writer=Writer,
    envelope=envelope,
    event=event,
    splice=splice,
    tap=Tap,
    stream_options=True,
)
