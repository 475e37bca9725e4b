"""Verdicts on upstream answers (M-12 to M-14, R-REL-01, 03, 04, 08, 09), and what is taken out of upstream texts."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.limits import retry_after_of
from providers.resolving import EgressRefused
from providers.scrubbing import scrub
from providers.secrets import Secret
from providers.transport import BodyTooLarge, NoAddress, TlsFailed
from providers.verdicts import judge, judge_event, of_exception
from tests.promises import within as in_time


def error(**fields) -> bytes:
    return json.dumps({"error": fields}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "final"),
    [
        (200, b'{"choices":[]}', "deliver", 200),
        (201, b"", "deliver", 201),
        (200, b'{"error":null,"choices":[{}]}', "deliver", 200),
        (200, b'{"choices":[{"message":{"content":"an \\"error\\" it is"}}]}', "deliver", 200),
        (200, b'data: {"error":', "deliver", 200),
        (200, error(message="x", code=503), "next_candidate", 503),
        (200, error(message="x", code="503"), "next_candidate", 503),
        (200, error(message="x", code=429), "next_key", 429),
        (200, error(message="Rate limit reached"), "next_key", 429),
        (200, error(message="x", type="invalid_request_error"), "final", 400),
        (200, error(message="x", type="authentication_error"), "next_candidate", 401),
        (200, error(message="x", type="overloaded_error"), "next_candidate", 529),
        (200, error(message="x"), "next_candidate", 502),
        (200, b'{"error":"boom"}', "next_candidate", 502),
        (429, b"", "next_key", 429),
        (429, error(message="You exceeded your current quota", code="insufficient_quota"), "next_key", 429),
        (403, error(message="Quota exceeded for project"), "next_key", 403),
        (400, error(message="m", type="RATE_LIMIT_EXCEEDED"), "next_key", 400),
        (503, error(message="RESOURCE_EXHAUSTED"), "next_key", 503),
        (500, error(message="Too Many Requests"), "next_key", 500),
        (400, error(message="m", status="RESOURCE_EXHAUSTED"), "next_key", 400),
        (400, error(message="the number 429 in a text"), "final", 400),
        # What a request says may come back in the message: it must not make shared keys rest.
        (400, error(message="Invalid value: 'my quota'", type="invalid_request_error"), "final", 400),
        (400, b"unknown parameter: rate limit", "final", 400),
        (404, error(message="The model `too many requests` does not exist"), "next_candidate", 404),
        (413, error(message="quota"), "final", 413),
        (415, error(message="resource exhausted"), "final", 415),
        (422, b'{"detail":[{"loc":["body"],"msg":"bad","input":"rate limit"}]}', "final", 422),
        (422, error(message="m", code="insufficient_quota"), "next_key", 422),
        (404, error(message="m", code="rate_limit_exceeded"), "next_key", 404),
        (200, error(message="bad value 'quota'", type="invalid_request_error"), "final", 400),
        (200, error(message="bad value 'quota'", code=400), "final", 400),
        (200, error(message="m", type="invalid_request_error", code="rate_limit_exceeded"), "next_key", 429),
        (401, error(message="Quota exceeded"), "next_key", 401),
        (400, error(message="m", metadata={"raw": "rate limit"}), "final", 400),
        (400, error(message="m", type="invalid_request_error"), "final", 400),
        (413, b"", "final", 413),
        (422, b'{"detail":[{"loc":["body"],"msg":"bad"}]}', "final", 422),
        (401, error(message="m", code="invalid_api_key"), "next_candidate", 401),
        (402, b"", "next_candidate", 402),
        (403, b"", "next_candidate", 403),
        (404, error(message="m", code="model_not_found"), "next_candidate", 404),
        (408, b"", "next_candidate", 408),
        (500, b"<html>", "next_candidate", 500),
        (502, b"", "next_candidate", 502),
        (529, b"", "next_candidate", 529),
        (301, b"", "next_candidate", 502),
        (304, b"", "next_candidate", 502),
    ],
)
def test_status_and_body(status, body, kind, final):
    verdict = judge(status, {}, body)
    assert (verdict.kind, verdict.status) == (kind, final)
    assert verdict.kind == "deliver" or (verdict.code and verdict.message)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (error(message="m", type="t", code="c", param="p"), {"message": "m", "type": "t", "code": "c", "param": "p"}),
        (error(message="m", code=7, param=[1]), {"message": "m", "type": None, "code": 7, "param": None}),
        (b'{"detail":"Invalid API Key"}', {"message": "Invalid API Key", "type": None, "code": None, "param": None}),
        (
            b'[{"error":{"message":"m","status":"INVALID"}}]',
            {"message": "m", "type": "INVALID", "code": None, "param": None},
        ),
        (
            b'{"object":"error","message":"m","type":"t","code":1}',
            {"message": "m", "type": "t", "code": 1, "param": None},
        ),
        (b'{"error":"m"}', {"message": "m", "type": None, "code": None, "param": None}),
        (b"plain words", {"message": "plain words", "type": None, "code": None, "param": None}),
        (b"<html>no</html>", None),
        (b"", None),
        (b"{}", None),
        (b"[]", None),
    ],
)
def test_the_upstreams_own_error_is_kept(body, expected):
    assert judge(400, {}, body).error == expected


def test_an_error_event_is_judged_as_its_status():
    assert judge_event(error(message="m", status_code=400, type="invalid_request_error"), {}).status == 400
    assert judge_event(error(message="m"), {}).status == 502
    assert judge_event(b"not json", {}).status == 502


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:40 GMT"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1e9"}, 86400.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, expected):
    assert retry_after_of(httpx.Headers(headers), now=lambda: 60.0) == expected


def test_retry_after_reaches_the_verdict():
    verdict = judge(429, httpx.Headers({"Retry-After": "7"}), b"")
    assert verdict.retry_after == 7.0 and verdict.kind == "next_key"


@pytest.mark.parametrize(
    ("exc", "status", "code"),
    [
        (httpx.ConnectTimeout("x"), 504, "upstream_connect_timeout"),
        (httpx.ReadTimeout("x"), 504, "upstream_timeout"),
        (httpx.ConnectError("x"), 502, "upstream_unreachable"),
        (httpx.RemoteProtocolError("x"), 502, "upstream_protocol"),
        (httpx.ReadError("x"), 502, "upstream_cut"),
        (httpx.DecodingError("x"), 502, "upstream_protocol"),
        (EgressRefused("10.1.2.3"), 502, "egress_refused"),
        (TlsFailed("x"), 502, "upstream_tls"),
        (NoAddress("x"), 502, "upstream_dns"),
        (BodyTooLarge("x"), 502, "upstream_too_large"),
        (ValueError("secret text"), 502, "upstream_error"),
    ],
)
def test_failures_without_an_answer(exc, status, code):
    verdict = of_exception(exc)
    assert (verdict.kind, verdict.status, verdict.code) == ("next_candidate", status, code)
    assert str(exc) == "x" or str(exc) not in verdict.message


KEY = "Zq8/+canary=plain-0042"


def within(text: str, before: str = "", after: str = "") -> str:
    """The characters of an encoded text that tell of `text` alone."""
    encoded = base64.b64encode((before + text + after).encode()).decode()
    return encoded[-(-8 * len(before.encode()) // 6) : 8 * len((before + text).encode()) // 6]


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY, safe=""),
        "".join(f"%{byte:02x}" for byte in KEY.encode()),
        "".join(f"%{byte:02X}" for byte in KEY.encode()),
        quote(quote(KEY, safe=""), safe=""),
        KEY.replace("/", "\\/"),
        KEY.replace("/", "\\\\/"),
        KEY.replace("+", "\\u002b").replace("=", "\\u003D"),
        "".join(f"\\u{ord(letter):04x}" for letter in KEY),
        "".join(f"&#x{ord(letter):x};" for letter in KEY),
        KEY.replace("=", "&#61;"),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
        base64.b64encode(f"Bearer {KEY}".encode()).decode(),
        base64.b64encode(f":{KEY}".encode()).decode(),
        within(KEY, "user:"),
        within(KEY, "me:", "\n"),
        within(KEY, "Authorization: Bearer "),
        base64.b64encode(f"Authorization: Bearer {KEY}".encode()).decode(),
        base64.b64encode(f"x{KEY}".encode()).decode()[:22],
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
        KEY[:12],
        KEY[5:17],
        KEY[-12:],
        f"{KEY[:13]}...",
    ],
)
def test_the_leased_secret_is_taken_out_in_every_form(form):
    for status, body in (
        (401, error(message=f"bad key {form}, sorry", type=form, code=form, param=form)),
        (401, f"bad key {form}".encode()),
        (200, error(message=f"bad key {form}")),
        (429, json.dumps({"detail": {"key": form}}).encode()),
    ):
        verdict = judge(status, {}, body, [Secret(KEY)])
        assert form not in repr(verdict) and json.dumps(form)[1:-1] not in repr(verdict)


@pytest.mark.parametrize(
    "text",
    [
        "sk-abcdefghijklmnop",
        "sk-proj-abc_DEF-123456",
        "sk-ab****************yz12",
        "****-key",
        "gsk_abcdefghijklmnop1234",
        "xai-abcdefghijklmnop",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "ya29.a0AfH6SMBx1234567890",
        "hf_abcdefghijklmnop",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "Bearer abcdef123456",
        "?key=abcdef123456",
        "jf_p0123456789abcdef",
    ],
)
def test_what_looks_like_a_key_is_taken_out(text):
    out = scrub(f"Incorrect API key provided: {text}. See the docs.")
    assert "[redacted]" in out and out.startswith("Incorrect API key provided: ") and out.endswith(" See the docs.")
    for part in (text[-6:], text[4:12]):
        assert part not in out


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-5.2-proo` does not exist or you do not have access to it.",
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        "This model's maximum context length is 1048565 tokens. However, you requested 1250025 tokens.",
        "google/gemini-2.0-flash-exp:free is temporarily rate-limited upstream",
    ],
)
def test_ordinary_texts_stay(text):
    assert scrub(text, [Secret(KEY), Secret("short")]) == text


@given(st.binary(max_size=5), st.binary(max_size=5), st.text(st.characters(codec="ascii"), min_size=15, max_size=60))
def test_no_long_piece_of_a_secret_is_left_in_base64(before, after, key):
    """Wherever the secret begins in what was encoded."""
    encoded = base64.b64encode(before + key.encode() + after).decode()
    own = encoded[-(-8 * len(before) // 6) : 8 * (len(before) + len(key)) // 6]
    assert own not in scrub(encoded, [Secret(key)])


@pytest.mark.parametrize(
    "text", ["\\" * 9_000, "%25" * 3_000, "&amp;" * 2_000, "\\u0041" * 1_500, (KEY[:11] + "!") * 900, KEY * 400]
)
@pytest.mark.parametrize("key", [KEY, KEY * 100])
def test_hostile_escapes_cost_little(text, key):
    for took in in_time(0.1):
        start = time.process_time()
        scrub(text, [Secret(key)])
        took.append(time.process_time() - start)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("a.b-C_9", "a.b-C_9"),
        ("", None),
        ("two words", None),
        ("x" * 65, None),
        ("<b>", None),
        ("sk-abcdefghijklmnop", None),
        (KEY[:14], None),
        ("caf\u00e9", None),
        (41, 41),
    ],
)
def test_codes_and_types_are_identifiers(value, shown):
    found = judge(400, {}, error(message="m", code=value, type=value), [Secret(KEY)]).error
    assert (found["code"], found["type"]) == (shown, shown)
    if not isinstance(value, int):
        assert judge(400, {}, error(message="m", status=value), [Secret(KEY)]).error["type"] == shown


@pytest.mark.parametrize("text", ["a" * 50_000, "*" * 50_000, "eyJaaaaaaaa-" * 5_000, "sk-" * 9_000, "bearer " * 5_000])
def test_hostile_texts_cost_little(text):
    for took in in_time(0.1):
        start = time.process_time()
        scrub(text)
        took.append(time.process_time() - start)


def test_texts_are_bounded_and_hold_no_control_characters():
    assert len(scrub("x" * 10_000)) == 2048
    assert scrub("a\x00b\x1b[31m\u202ec\r\nd") == "a b [31m c \nd"
    assert len(judge(400, {}, error(message="y" * 10_000)).message) == 2048
    assert KEY[:10] not in scrub("z" * 2040 + KEY, [Secret(KEY)])


@given(st.integers(100, 599), st.binary(max_size=80) | st.text(max_size=40).map(lambda text: error(message=text)))
def test_every_answer_gets_a_verdict(status, body):
    verdict = judge(status, {}, body)
    assert 200 <= verdict.status <= 599
    assert (verdict.kind == "deliver") <= (200 <= status < 300)
