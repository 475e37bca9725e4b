"""Code Assist: Gemini's dialect in an envelope. What is put around a request, and how answers come out of theirs.

How the official SDKs hold conversations with such an upstream is in `test_sdk_*`.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.minted import minted
from keys.models import ProviderKey
from providers import transport
from providers.credentials.request import Grant
from providers.dialects.canon import Answer, BadAnswer, Message, Misfit, Request, Target, Text, Thinking, Tool, ToolCall
from providers.dialects.google_code_assist.wrapper import opened
from providers.dialects.google_generate.dialect import GOOGLE_GENERATE
from providers.dialects.registry import CLIENTS, UPSTREAMS
from providers.dialects.streams import assemble
from providers.dialects.usage import Usage
from providers.secrets import Secret
from tests.google_exchanges import answered, bracketed, read
from tests.issuers import REFRESH_TOKEN
from tests.vendor_replies import STREAMED, WHOLE

ASSIST = UPSTREAMS["google_code_assist"]
INSIDE: Any = GOOGLE_GENERATE.upstream
TARGET = Target(model="gemini-3-pro-preview", family="google-cloud-code-assist")
WEATHER = Tool("function", "weather", "Tells.", {"type": "object"})
ASKED = Request(
    dialect="openai_chat",
    messages=(Message("system", (Text("Be brief."),)), Message("user", (Text("Oslo?"),))),
    tools=(WEATHER, Tool("web_search", "web_search")),
    temperature=0.5,
    user="eve",
)
#: An answer as Code Assist gives it in three events, by the types of gemini-cli.
EVENTS = [
    {"response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hm.", "thought": True}]}}]}},
    {"traceId": "t-1", "remainingCredits": [{"creditType": "GOOGLE_ONE_AI", "creditAmount": "9"}]},
    {
        "response": {
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [
                            {"text": "Grüße"},
                            {"functionCall": {"name": "f", "args": {"response": 1}}, "thoughtSignature": "c2ln"},
                        ],
                    },
                    "finishReason": "STOP",
                }
            ],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
            "modelVersion": "gemini-x",
            "responseId": "r-1",
        },
        "traceId": "t-1",
    },
]


def sse(*events: Any, end: str = "\r\n") -> bytes:
    return "".join(f"data: {json.dumps(event, ensure_ascii=False)}{end}{end}" for event in events).encode()


def read_in(chunks: list[bytes]) -> tuple[Answer | None, Any]:
    """The answer of a stream, or its error."""
    reader, splitter = ASSIST.reader(), ASSIST.splitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)] + splitter.close()
    deltas = []
    for event in events:
        deltas += reader.feed(event)
        if reader.error is not None:
            return None, reader.error
    return assemble(bracketed([*deltas, *reader.end()])) if reader.finished else None, None


# --- requests --------------------------------------------------------------------------------------------------------


def test_a_request_is_vertexs_in_an_envelope() -> None:
    written = ASSIST.write_request(ASKED, TARGET)
    assert written.body == {
        "request": {
            "contents": [{"role": "user", "parts": [{"text": "Oslo?"}]}],
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "weather", "description": "Tells.", "parametersJsonSchema": {"type": "object"}}
                    ]
                },
                {"googleSearch": {}},
            ],
            "generationConfig": {"temperature": 0.5},
        }
    }
    assert written.dropped == ("user",)
    at_vertex = INSIDE.write_request(ASKED, Target(model=TARGET.model, family="google-vertex"))
    assert written.body["request"] == at_vertex.body


def test_what_only_googles_clients_say_goes_in_too_but_for_the_tier() -> None:
    asked = CLIENTS["google_generate"].read_request(
        {
            "contents": [{"parts": [{"text": "Hi"}]}],
            "serviceTier": "flex",
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"},
        }
    )
    written = ASSIST.write_request(asked, TARGET)
    inside = written.body["request"]
    assert inside.keys() == {"contents", "safetySettings", "generationConfig"}
    assert inside["generationConfig"] == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert written.dropped == ("service_tier",)


def test_a_misfit_of_the_dialect_inside_is_one_here() -> None:
    with pytest.raises(Misfit):
        ASSIST.write_request(Request(dialect="openai_chat"), TARGET)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_whole_answer() -> None:
    answer = ASSIST.read_answer(json.dumps(EVENTS[2]).encode())
    (choice,) = answer.choices
    text, call = choice.parts
    assert isinstance(call, ToolCall) and text == Text("Grüße")
    assert (call.name, call.arguments, call.signature, call.signer) == (
        "f",
        '{"response":1}',
        "c2ln",
        "google_generate",
    )
    assert (choice.stop, answer.id, answer.usage, answer.dialect) == ("tool", "r-1", Usage(5, 2), "google_generate")


@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["crlf", "lf"])
def test_a_stream_says_the_same_however_it_is_cut(end: str) -> None:
    body = sse(*EVENTS, end=end)
    whole, _ = read_in([body])
    assert whole is not None
    assert [type(part) for part in whole.choices[0].parts] == [Thinking, Text, ToolCall]
    assert whole.usage == Usage(5, 2)
    for at in range(1, len(body)):
        assert read_in([body[:at], body[at:]])[0] == whole
    assert read_in([body[at : at + 1] for at in range(len(body))])[0] == whole


def test_an_answer_without_an_id_has_the_envelopes() -> None:
    """Ids of calls are made of it: else two turns with the same call would have one id."""

    def ids(trace: str) -> tuple[str, str]:
        inside = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "STOP"}]}
        answer = ASSIST.read_answer(json.dumps({"response": inside, "traceId": trace}).encode())
        (call,) = answer.choices[0].parts
        assert isinstance(call, ToolCall)
        return answer.id, call.id

    (one, call_one), (other, call_other) = ids("t-1"), ids("t-2")
    assert (one, other) == ("t-1", "t-2") and call_one != call_other


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"x"', b"{}", b'{"response":null}', b'{"response":{}}', b'{"response":[]}', b"{oops"]
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        ASSIST.read_answer(body)


@pytest.mark.parametrize(
    ("tail", "malformed"),
    [
        (sse({"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}), False),
        (json.dumps({"error": {"code": 503}}, indent=2).encode(), False),
        (b"data: {oops\n\n", True),
        (sse({"response": [1]}), True),
        (sse({"response": {"candidates": 1}}), True),
    ],
)
def test_errors_in_the_middle_of_a_stream(tail: bytes, malformed: bool) -> None:
    _, error = read_in([sse(*EVENTS[:2]) + tail])
    assert error is not None and error.malformed is malformed


def test_a_stream_that_is_cut_is_not_finished() -> None:
    assert read_in([sse(*EVENTS[:2])]) == (None, None)


NAMES = st.sampled_from(["response", "traceId", "error", "candidates", "content", "parts", "text", "functionCall"])
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=2)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4))


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_raises_nothing_else(found: Any) -> None:
    for value in (found, {"response": found}):
        body = json.dumps(value).encode()
        with contextlib.suppress(BadAnswer):
            ASSIST.read_answer(body)
        read_in([sse(value)])


@pytest.mark.parametrize(
    "body", [b'{"response":{"a":1,"a":2},"traceId":"t"}', b"[" * 3000, b'{"traceId":"\xff","response":{}}']
)
def test_bytes_that_no_encoder_writes(body: bytes) -> None:
    opened(body)
    with pytest.raises(BadAnswer):
        ASSIST.read_answer(body)


def test_recorded_answers_of_gemini_say_the_same_in_an_envelope() -> None:
    cases = answered(False) + answered(True)
    if not cases:
        pytest.skip("no recordings here")
    for case in cases:
        body = case["response_body"].encode()
        if not case["stream"]:
            assert ASSIST.read_answer(b'{"response":' + body + b"}") == INSIDE.read_answer(body), case["id"]
            continue
        splitter = INSIDE.splitter()
        data = [event.data for event in splitter.feed(body) + splitter.close() if event.data]
        assert read_in([b'data: {"response":' + piece + b"}\n\n" for piece in data])[0] == read(case), case["id"]


# --- through the gateway ---------------------------------------------------------------------------------------------

TOKEN = "ya29.canary-access-token-0123456789"
GOOGLES = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


@pytest.fixture
def sent() -> Iterator[tuple[list[httpx.Request], list[httpx.Response]]]:
    """What leaves the machine; the answers that are due, else those of a whole service."""
    requests: list[httpx.Request] = []
    due: list[httpx.Response] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if due:
            return due.pop(0)
        streamed = "stream" in request.url.path
        kind = "text/event-stream" if streamed else "application/json"
        return httpx.Response(200, headers={"content-type": kind}, content=(STREAMED if streamed else WHOLE)["assist"])

    transport.install(httpx.MockTransport(answer))
    yield requests, due
    transport.install(None)


@pytest.fixture
def assisted(plane: Any) -> Callable[..., Any]:
    """`assisted(key, **variables)`: the model `m` at an account with this key and these variables."""

    def made(key: str = TOKEN, **variables: str) -> Any:
        base = "https://cloudcode-pa.googleapis.com"
        provider = plane.world.provider("gca", family=TARGET.family, credential="google-login", base_url=base)
        account = plane.world.account("gca", "", provider=provider, keys=(key,), variables=variables)
        plane.world.model("m", (account, "gemini-2.5-pro"))
        plane.settle()
        return plane

    return made


@pytest.mark.django_db(transaction=True)
def test_googles_client_is_not_relayed_but_loses_nothing(sent: Any, assisted: Any) -> None:
    plane = assisted(project="proj-1")
    clip = {"fileData": {"fileUri": "gs://b/film.mp4", "mimeType": "video/mp4"}, "videoMetadata": {"endOffset": "9s"}}
    asked = {
        "contents": [{"role": "user", "parts": [{"text": "hi"}, clip]}],
        "safetySettings": [{"category": "C", "threshold": "OFF"}],
        "cachedContent": "cachedContents/1",
    }
    whole = plane.client.post("/v1beta/models/m:generateContent", json=asked)
    assert (whole.status_code, whole.headers["x-jackfield-dropped"]) == (200, ""), whole.text
    assert whole.json()["modelVersion"] == "m" and "response" not in whole.json()
    streamed = plane.client.post("/v1beta/models/m:streamGenerateContent?alt=sse", json=asked)
    (event,) = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")][-1:]
    assert event["candidates"][0]["finishReason"] == "STOP" and event["usageMetadata"]["totalTokenCount"] == 10
    requests, _ = sent
    base = "https://cloudcode-pa.googleapis.com/v1internal"
    assert [str(request.url) for request in requests] == [
        f"{base}:generateContent",
        f"{base}:streamGenerateContent?alt=sse",
    ]
    for request in requests:
        assert json.loads(request.content) == {"model": "gemini-2.5-pro", "project": "proj-1", "request": asked}
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert "x-goog-user-project" not in request.headers
    assert [(row.input_tokens, row.output_tokens) for row in plane.rows(2)] == [(7, 3), (7, 3)]


@pytest.mark.django_db(transaction=True)
def test_without_a_project_nothing_is_sent(sent: Any, assisted: Any) -> None:
    answer = assisted().ask("m")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "variable_missing"), error
    assert error["message"].startswith("Account 'gca': the request needs a value for 'project'.") and not sent[0]


@pytest.mark.django_db(transaction=True)
def test_of_a_sign_in_only_its_token_is_sent(sent: Any, assisted: Any) -> None:
    # As gemini-cli keeps it: without a client nobody is asked for a token.
    plane = assisted(json.dumps({"refresh_token": REFRESH_TOKEN, "quota_project_id": "billing"}), project="proj-1")
    answer = plane.ask("m")
    error = answer.json()["error"]
    assert error["code"] == "account_unusable" and "no access token" in error["message"] and not sent[0], error
    row = ProviderKey.objects.get(key_set__account__name="gca")
    minted.keep((row.key_set.account_id, row.fingerprint), Grant(Secret(TOKEN), time.time() + 3600))
    assert plane.ask("m").status_code == 200
    (request,) = sent[0]
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert "x-goog-user-project" not in request.headers and REFRESH_TOKEN not in f"{request.headers}{request.content!r}"


REFUSED = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}


@pytest.mark.django_db(transaction=True)
def test_error_bodies_in_every_clients_dialect_without_the_token(sent: Any, assisted: Any) -> None:
    plane = assisted(project="proj-1")
    _, due = sent
    for status, word in REFUSED.items():
        error = {"error": {"code": status, "message": f"No: {TOKEN}.", "status": word, "details": [{"reason": "R"}]}}
        for body, stream in ((error, False), (error, True), ([error], True)):
            due.append(httpx.Response(status, json=body))
            chat = plane.ask("m", stream=stream)
            due.append(httpx.Response(status, json=body))
            messages = plane.client.post(
                "/v1/messages",
                json={"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": stream},
            )
            due.append(httpx.Response(status, json=body))
            verb = "streamGenerateContent" if stream else "generateContent"
            google = plane.client.post(f"/v1beta/models/m:{verb}", json=GOOGLES)
            for answer in (chat, messages, google):
                assert answer.status_code == status, answer.text
                assert "No: " in answer.text and "canary" not in answer.text
            assert google.json()["error"]["status"] == word
            assert not due


@pytest.mark.django_db(transaction=True)
def test_an_error_as_the_first_event_is_the_status(sent: Any, assisted: Any) -> None:
    plane = assisted(project="proj-1")
    error = {"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED"}}
    sent[1].append(httpx.Response(200, headers={"content-type": "text/event-stream"}, content=sse(error)))
    assert plane.ask("m", stream=True).status_code == 429
