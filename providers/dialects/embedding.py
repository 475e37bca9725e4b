"""Texts to be embedded and their vectors, whatever dialect they are said in; what a dialect of them must do. Pure.

Embeddings have dialects of their own (`registry.EMBEDDING_UPSTREAMS`), which do not follow those of chat: Gemini's API
and Vertex chat alike and embed differently, OpenAI's two APIs of chat have one for embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from providers.dialects.canon import BadAnswer, Target, Written
from providers.dialects.jsonio import Fields
from providers.dialects.usage import Usage
from providers.dialects.values import UNREADABLE

T = TypeVar("T")

#: What a text is embedded for; empty: the client did not say. `query` looks for `document`; `question`, `fact` and
#: `code` look for answers, evidence and source code.
Task = Literal["", "query", "document", "similarity", "classification", "clustering", "question", "fact", "code"]


class Input(msgspec.Struct, frozen=True):
    """One text. `title`: that of the document it is."""

    text: str
    task: Task = ""
    title: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `dimensions`: the length of the vectors, None as the model has it.

    `packed`: the client wants vectors as base64 of little-endian 32-bit floats. `extras`: members that only the
    client's dialect knows.
    """

    inputs: tuple[Input, ...]
    dimensions: int | None = None
    user: str = ""
    packed: bool = False
    extras: dict[str, Any] = {}

    @property
    def texts(self) -> list[str]:
        return [each.text for each in self.inputs]


class Answer(msgspec.Struct, frozen=True):
    """The vectors in the order of the texts. `tokens`: those of all texts; None is unknown, never 0."""

    vectors: list[list[float]]
    tokens: int | None = None


class EmbeddingUpstream(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream is asked, and understood."""

    #: Raises canon.Misfit. `dropped` names `user`, `task` and `title`.
    write_request: Callable[[Request, Target], Written]
    #: Raises canon.BadAnswer.
    read_answer: Callable[[bytes], Answer]
    #: (the upstream's model, how many texts) -> what stands for `{verb}` in the family's path
    verb: Callable[[str, int], str] = lambda model, count: ""


class EmbeddingClient(msgspec.Struct, frozen=True, kw_only=True):
    """How a client is understood, and answered."""

    #: A key of `registry.EMBEDDING_UPSTREAMS`: upstreams of this dialect are sent the client's own bytes.
    dialect: str
    #: Stands for `{verb}` in the path where they are.
    verb: str = ""
    #: (the decoded body) Raises canon.Misfit.
    read_request: Callable[[dict[str, Any]], Request]
    #: (answer, public model, the client's request)
    write_answer: Callable[[Answer, str, Request], bytes]
    #: Put the model of an upstream of the same dialect into (the request, the model, whether its family wants it in the
    #: body). Raises jsonio.BadBody.
    aim: Callable[[Fields, str, bool], None]
    #: (its answer, the public model) -> the answer with that model, and its usage. Raises jsonio.BadBody.
    splice: Callable[[bytes, str], tuple[bytes, Usage | None]]
    #: `task` and the like in the client's words
    words: Mapping[str, str] = {}


def said_in(body: bytes, decode: Callable[[bytes], T]) -> T:
    """What an upstream answered, in its dialect's form. Raises canon.BadAnswer."""
    try:
        return decode(body)
    except UNREADABLE as error:
        raise no_vectors() from error


def no_vectors() -> BadAnswer:
    """What is wrong with an answer without any."""
    return BadAnswer("the upstream's answer holds no embeddings")


def usage_of(tokens: int | None) -> Usage | None:
    """What an answer used. Nothing is generated: where the input is known, the output is known to be none."""
    return None if tokens is None else Usage(input=tokens, output=0)


def one_task(request: Request) -> Task:
    """The task of all texts, if it is the same. Raises ValueError."""
    tasks = {each.task for each in request.inputs}
    if len(tasks) > 1:
        raise ValueError
    return next(iter(tasks), "")


def unsaid(request: Request, *names: Literal["user", "task", "title"]) -> tuple[str, ...]:
    """Which of these the request says."""
    said = {
        "user": bool(request.user),
        "task": any(each.task for each in request.inputs),
        "title": any(each.title for each in request.inputs),
    }
    return tuple(name for name in names if said[name])
