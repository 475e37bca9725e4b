"""The clients of scenarios: they ask in every dialect, and log what became of each question.

How an answer ended is read from its bytes as a client of its dialect would: an error event is an error however many
good ones came before it, and only the dialect's last word is an end.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import uvloop

from tests.faults.checker import Answered
from tests.faults.truth import MARKER

Result = TypeVar("Result")


@dataclass(frozen=True)
class Dialect:
    """`body` makes a request of a text. `error` is in each error event, one of `ends` in the last words of a stream."""

    path: str
    body: Callable[[str], dict[str, Any]]
    error: str
    ends: tuple[str, ...]


DIALECTS = {
    "chat": Dialect(
        "/v1/chat/completions",
        lambda text: {"messages": [{"role": "user", "content": text}]},
        '"error"',
        ("[DONE]",),
    ),
    "completions": Dialect("/v1/completions", lambda text: {"prompt": text}, '"error"', ("[DONE]",)),
    "responses": Dialect(
        "/v1/responses",
        lambda text: {"input": text, "store": False},
        "event: response.failed",
        ("event: response.completed", "event: response.incomplete"),
    ),
    "messages": Dialect(
        "/v1/messages",
        lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 20},
        "event: error",
        ("event: message_stop",),
    ),
    "gemini": Dialect(
        "/v1beta/models/{model}:{method}",
        lambda text: {"contents": [{"role": "user", "parts": [{"text": text}]}]},
        '"error"',
        ('"finishReason"',),
    ),
}
#: How the line of an error event begins.
_ERROR_EVENT = {'"error"': 'data: {"error"'}
#: A code of ours in an error; Google's envelope calls it the reason.
_CODE = re.compile(r'"(?:code|reason)": ?"([a-z_]+)"')


@dataclass(frozen=True)
class Question:
    model: str
    marker: str
    project: str
    dialect: str = "chat"
    stream: bool = False
    #: seconds after which the client leaves
    patience: float = 60.0


def markers(project: str, start: int = 1) -> Callable[[], str]:
    """Each call gives a marker of the project that no other question has."""
    numbers = iter(range(start, 1_000_000_000))
    return lambda: f"mark.{project}.{next(numbers)}."


class Clients:
    """Asks one gateway. `tokens` are those of the projects."""

    def __init__(self, session: aiohttp.ClientSession, url: str, tokens: Mapping[str, str]) -> None:
        self._session = session
        self._url = url
        self._tokens = tokens

    async def ask(self, question: Question) -> Answered:
        dialect = DIALECTS[question.dialect]
        body = dialect.body(f"say {question.marker} please")
        path = dialect.path
        if question.dialect == "gemini":
            method = "streamGenerateContent?alt=sse" if question.stream else "generateContent"
            path = path.format(model=question.model, method=method)
        else:
            body |= {"model": question.model, **({"stream": True} if question.stream else {})}
        headers = {"authorization": f"Bearer {self._tokens[question.project]}", "content-type": "application/json"}
        started = time.monotonic()
        request, status, attempts, after, text, left = "", 0, 0, "", "", False
        try:
            async with asyncio.timeout(question.patience):
                async with self._session.post(self._url + path, data=json.dumps(body), headers=headers) as answer:
                    request = answer.headers.get("x-jackfield-request-id", "")
                    attempts = int(answer.headers.get("x-jackfield-attempts", "0"))
                    status, after = answer.status, answer.headers.get("retry-after", "")
                    text = (await answer.read()).decode()
        except TimeoutError:
            left = True
        except (aiohttp.ClientError, UnicodeDecodeError):
            text = ""
        end = "left" if left else _end(dialect, status, text, question.stream)
        # What a stream says comes in pieces; what it said last is whole.
        code = _CODE.search(text.rpartition("\n\n" if text.endswith("}") else "data: ")[2]) if end != "whole" else None
        now = time.monotonic()
        said = frozenset(found[0] for found in MARKER.finditer(_said(text)))
        return Answered(
            *(question.marker, request, status, end, code[1] if code else "", said, now - started, now),
            attempts=attempts,
            errors=f"\n{text}".count("\n" + _ERROR_EVENT.get(dialect.error, dialect.error)) if question.stream else 0,
            retry_after=after,
        )

    async def all(self, questions: Iterable[Question], at_once: int) -> list[Answered]:
        """Ask all, so many at once."""
        waiting = iter(questions)
        answers: list[Answered] = []

        async def one() -> None:
            for question in waiting:
                answers.append(await self.ask(question))

        await asyncio.gather(*(one() for _ in range(at_once)))
        return answers

    async def at_rate(self, rate: float, seconds: float, make: Callable[[], Question]) -> list[Answered]:
        """So many a second, however long the answers take."""
        begun = time.monotonic()
        asked = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
            asked.append(asyncio.ensure_future(self.ask(make())))
        return list(await asyncio.gather(*asked))


def _end(dialect: Dialect, status: int, text: str, stream: bool) -> str:
    if status >= 400:
        return "error" if '"error"' in text else "broken"
    if status != 200 or not text:
        return "broken"
    if not stream:
        return "whole"
    last = text.replace("\r\n", "\n").rstrip().rpartition("\n\n")[2]
    ended = any(end in text for end in dialect.ends)
    if dialect.error in last:
        # Google's finish reason is in the last event with text; what comes after it is an error nevertheless.
        return "broken" if ended and dialect.ends != DIALECTS["gemini"].ends else "partial"
    return "whole" if ended else "broken"


_PIECES = re.compile(r'"(?:content|text|delta)": ?"((?:[^"\\]|\\.)*)"')


def _said(text: str) -> str:
    """The text of an answer: what it has in one piece, and what its events say together."""
    return text + "\n" + "".join(found[1] for found in _PIECES.finditer(text))


def ask_all(url: str, tokens: Mapping[str, str], questions: Iterable[Question], at_once: int) -> list[Answered]:
    """Ask all of a gateway, so many at once."""

    async def work() -> list[Answered]:
        async with clients(url, tokens) as asking:
            return await asking.all(questions, at_once)

    return run(work())


@asynccontextmanager
async def clients(url: str, tokens: Mapping[str, str]) -> AsyncIterator[Clients]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        yield Clients(session, url, tokens)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def quantile(values: Iterable[float], share: float) -> float:
    """Of seconds, in milliseconds; 0 of nothing."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
