"""R-REL-11: bodies of ten gigabytes, announced, in chunks and compressed; a stream without end."""

from __future__ import annotations

import httpx

from tests.faults.checker import Answered, told
from tests.faults.clients import Question, ask_all, markers
from tests.faults.documents import account, model
from tests.faults.lab import Lab, lab
from tests.faults.memory import Memory
from tests.faults.rows import Row, Scale

#: MiB of one answer that are read, and of one stream.
BODY, STREAM = 64, 1024
WHOLE = {"announced": "gigantic:announced", "chunks": "gigantic:chunks", "bomb": "bomb"}
STREAMED = {"bomb-stream": "bomb:text_event-stream"}
ENDLESS = "endless"
CODE = "upstream_too_large"


def r_rel_11_too_much(scale: Scale, seed: int) -> Row:
    """One after another; the stream without end, whose gigabyte takes its time, in the long form."""
    rounds = 1 if scale == "short" else 20
    with lab(scale, seed) as here:
        tokens = here.apply(
            account("much", here.upstream.url)
            + "".join(
                model(f"much-{kind}", ("much", upstream))
                for kind, upstream in {**WHOLE, **STREAMED, ENDLESS: ENDLESS}.items()
            ),
            "much",
        )
        marker = markers("much")
        questions = [
            Question(f"much-{kind}", marker(), "much", stream=kind in STREAMED)
            for kind in (*WHOLE, *STREAMED)
            for _ in range(rounds)
        ]
        memory, before = Memory(here.pids()), here.pids()
        answers = ask_all(here.url, tokens, questions, at_once=1)
        ended = "not asked for"
        if scale == "long":
            answer, size = _drain(here, tokens["much"], marker())
            answers.append(answer)
            ended = f"ended after {size} MiB with {answer.code}"
        grown, crashed = memory.grown(), before != here.pids()
        wrong = here.check(answers, "much")
    refused = sum((answer.status, answer.code) == (502, CODE) for answer in answers)
    partial = sum((answer.end, answer.code) == ("partial", CODE) for answer in answers)
    return Row(
        "bodies of 10 GiB: " + ", ".join((*WHOLE, *STREAMED)) + "; a stream without end",
        "R-REL-11",
        len(answers),
        refused + partial,
        f"502; at most {2 * BODY} MiB more memory; a stream ends after {STREAM} MiB",
        f"{refused} of {len(questions)} 502, {grown:.0f} MiB more; the stream without end {ended}" + told(wrong),
        refused == len(questions)
        and partial == len(answers) - len(questions)
        and grown <= 2 * BODY
        and not crashed
        and not wrong,
    )


def _drain(here: Lab, token: str, marker: str) -> tuple[Answered, int]:
    """Ask for the stream without end and read on, forgetting. What came of it, and how many MiB came."""
    body = {"model": f"much-{ENDLESS}", "messages": [{"role": "user", "content": marker}], "stream": True}
    size, tail = 0, b""
    with (
        httpx.Client(timeout=60, trust_env=False) as client,
        client.stream(
            *("POST", f"{here.url}/v1/chat/completions"), json=body, headers={"authorization": f"Bearer {token}"}
        ) as answer,
    ):
        for piece in answer.iter_raw():
            size += len(piece)
            tail = (tail + piece)[-1000:]
        request = answer.headers["x-jackfield-request-id"]
    ended = tail.rstrip().rpartition(b"\n\n")[2]
    code = CODE if ended.startswith(b'data: {"error"') and CODE.encode() in ended else ""
    return Answered(marker, request, answer.status_code, "partial" if code else "broken", code), size // 1024**2
