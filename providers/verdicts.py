"""What an upstream's answer, or the failure to get one, means for the request: the only place that decides it. Pure.

    deliver         relay it
    next_key        a rate limit: the same candidate with its next key, then the next candidate (M-12)
    next_candidate  this upstream cannot serve it now, or our key or mapping there is bad: another one may
    final           the request itself was refused: no other upstream is asked

Upstream text is bounded and scrubbed before it gets any further.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from providers.dialects.values import UNREADABLE
from providers.limits import PASSING, is_of_model, is_spent, wait_of
from providers.scrubbing import scrub
from providers.secrets import Secret

#: What of a request was refused that another model may take: its length, or its content for a policy.
Because = Literal["", "length", "content"]
Kind = Literal["deliver", "next_key", "next_candidate", "final"]

#: Bytes of an error body that are looked at.
MAX_ERROR_BODY: Final = 64 * 1024

_RATE_WORDS: Final = (
    "rate_limit",
    "rate limit",
    "rate-limit",
    "quota",
    "resource exhausted",
    "resource_exhausted",
    "too many requests",
)
#: How upstreams say that a request is longer than the model's context.
_TOO_LONG: Final = (
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "exceeds the maximum number of tokens",
    "exceed_context_size",
)
#: How upstreams say that their policy forbids what a request holds: OpenAI, Azure, Anthropic, others of OpenAI's shape.
_POLICY: Final = (
    "content_filter",
    "content_policy",
    "content management policy",
    "content filtering policy",
    "responsibleaipolicyviolation",
    "usage policy",
    "moderation",
)
#: Statuses that say something about the request and would be said by every upstream.
_CALLER_FAULTS: Final = frozenset({400, 405, 406, 411, 412, 413, 414, 415, 416, 417, 422, 431, 451})
#: Statuses whose messages repeat what the request said: only the upstream's own words tell of a limit there.
_REPEATING: Final = _CALLER_FAULTS | {404}
_CODES: Final = {
    401: "upstream_auth",
    402: "upstream_payment",
    403: "upstream_forbidden",
    404: "upstream_not_found",
    408: "upstream_timeout",
    409: "upstream_error",
    425: "upstream_error",
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_STATUS_OF_WORD: Final = (
    ("authentication", 401),
    ("invalid_api_key", 401),
    ("unauthorized", 401),
    ("permission", 403),
    ("insufficient", 402),
    ("not_found", 404),
    ("invalid_request", 400),
    ("invalid_argument", 400),
    ("bad_request", 400),
    ("overloaded", 529),
    ("unavailable", 503),
    ("timeout", 504),
    ("deadline", 504),
)


class Verdict(msgspec.Struct, frozen=True):
    """`status` is what the client gets if this was the last attempt. `retry_after` in seconds.

    `spent`: the key has used up what it may, and only a person or the calendar ends that (`providers.limits`).
    `of_model`: for this model alone.
    `error` holds the upstream's own `message`, `type`, `code`, `param`, scrubbed; None where it sent no error object.
    """

    kind: Kind
    code: str
    status: int
    message: str = ""
    retry_after: float | None = None
    error: dict[str, Any] | None = None
    because: Because = ""
    spent: bool = False
    of_model: bool = False


_DELIVER: Final = {status: Verdict("deliver", "", status) for status in range(200, 300)}


class _Head(msgspec.Struct, gc=False):
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    choices: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_head: Final = msgspec.json.Decoder(_Head).decode


def judge(status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret] = ()) -> Verdict:
    """Judge a complete answer, or the head of a stream (with what was read of it, which may be nothing).

    `secrets` are the credentials this attempt used: taken out of what the upstream says.
    """
    if 200 <= status < 300:
        if b'"error"' not in body:
            return _DELIVER[status]
        return _judge_success(status, headers, body, secrets)
    if 300 <= status < 400:
        return Verdict("next_candidate", "upstream_redirect", 502, "The upstream answered with a redirect.")
    return _judge_failure(status, headers, _error_of(body), secrets)


def judge_event(body: bytes, headers: Mapping[str, str], secrets: Sequence[Secret] = ()) -> Verdict:
    """Judge an error that came as an event of a stream that began with status 200."""
    error = _error_of(body)
    return _judge_failure(_status_within(error), headers, error, secrets)


def _judge_success(status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret]) -> Verdict:
    """A 200 that may hold an error instead of an answer (R-REL-08)."""
    try:
        head = _decode_head(body)
    except UNREADABLE:
        return _DELIVER[status]
    if head.error is msgspec.UNSET or bytes(head.error) in {b"null", b'""', b"{}", b"false"}:
        return _DELIVER[status]
    if head.choices is not msgspec.UNSET and bytes(head.choices) not in {b"null", b"[]"}:
        return _DELIVER[status]
    error = _error_of(body)
    return _judge_failure(_status_within(error), headers, error, secrets)


def _judge_failure(
    status: int, headers: Mapping[str, str], error: dict[str, Any], secrets: Sequence[Secret]
) -> Verdict:
    clean = _clean(error, secrets)
    if not 400 <= status <= 599:
        status = 502
    message = (clean or {}).get("message") or f"The upstream answered with status {status}."
    retry_after, spent = wait_of(headers, error), is_spent(status, error)
    kind: Kind
    if status == 429 or _speaks_of_rate(error, _OWN_WORDS if status in _REPEATING else _ALL_WORDS):
        lasts = spent or (retry_after or 0.0) > PASSING
        kind, code = "next_key", "upstream_exhausted" if lasts else "upstream_rate_limit"
    elif spent:
        # Anthropic says so with 400; it is our key's fault, not the caller's.
        kind, code, status = "next_candidate", "upstream_payment", 402
    elif status in _CALLER_FAULTS:
        kind, code = "final", "upstream_refused"
    elif status >= 500:
        kind, code = "next_candidate", "upstream_overloaded" if status in {503, 529} else "upstream_error"
    else:
        kind, code = "next_candidate", _CODES.get(status, "upstream_refused")
    because = _because(error) if kind == "final" else ""
    return Verdict(kind, code, status, message, retry_after, clean, because, spent, is_of_model(error))


def _because(error: dict[str, Any]) -> Because:
    words = " ".join(value.lower() for name in _ALL_WORDS if isinstance(value := error.get(name), str))
    if any(word in words for word in _TOO_LONG):
        return "length"
    return "content" if any(word in words for word in _POLICY) else ""


def _error_of(body: bytes) -> dict[str, Any]:
    """The error object in a body, whatever its frame: `{"error": ..}`, `[{"error": ..}]`, `{"detail": ..}`, text."""
    try:
        found = msgspec.json.decode(body[:MAX_ERROR_BODY])
    except UNREADABLE:
        text = body[:MAX_ERROR_BODY].decode("utf-8", "replace").strip()
        return {} if not text or text.startswith("<") else {"message": text}
    if isinstance(found, list):
        found = found[0] if found else None
    if isinstance(found, str):
        return {"message": found}
    if not isinstance(found, dict):
        return {}
    inner = found.get("error")
    if isinstance(inner, list):
        inner = inner[0] if inner else None
    if isinstance(inner, dict):
        return inner
    message = inner if isinstance(inner, str) else found.get("message") or found.get("detail")
    if message is not None and not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    return {**found, "message": message}


def _clean(error: dict[str, Any], secrets: Sequence[Secret]) -> dict[str, Any] | None:
    """The four fields of an OpenAI error, scrubbed, the rest left behind. What is no identifier is no type or code."""
    out: dict[str, Any] = {
        "message": _text(error.get("message"), secrets, 2048),
        "type": _identifier(error.get("type"), secrets),
        "code": _identifier(error.get("code"), secrets),
        "param": _text(error.get("param"), secrets, 200),
    }
    if out["type"] is None and isinstance(error.get("status"), str):
        out["type"] = _identifier(error["status"], secrets)
    return out if any(value is not None for value in out.values()) else None


def _text(value: Any, secrets: Sequence[Secret], limit: int) -> str | int | None:
    if isinstance(value, str):
        return scrub(value, secrets, limit=limit)
    return value if _is_number(value) else None


def _identifier(value: Any, secrets: Sequence[Secret]) -> str | int | None:
    """A code or type that may be passed on; None for anything else, also for what has a secret in it."""
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value) and scrub(value, secrets) == value:
        return value
    return value if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**53


#: The members of an error that only the upstream fills, and those that may repeat the request.
_OWN_WORDS: Final = ("code", "type", "status")
_ALL_WORDS: Final = (*_OWN_WORDS, "message")


def _speaks_of_rate(error: dict[str, Any], names: tuple[str, ...]) -> bool:
    for name in names:
        value = error.get(name)
        if isinstance(value, str):
            text = value.lower()
            if any(word in text for word in _RATE_WORDS):
                return True
    return error.get("code") == 429


def _status_within(error: dict[str, Any]) -> int:
    """The status that an error inside a 200 stands for: a number it carries, else what its words say, else 502."""
    for name in ("status_code", "code", "status"):
        value = error.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if type(value) is int and 400 <= value <= 599:
            return value
    if _speaks_of_rate(error, _OWN_WORDS):
        return 429
    words = f"{error.get('type')} {error.get('code')} {error.get('status')}".lower()
    named = next((status for word, status in _STATUS_OF_WORD if word in words), 502)
    return 429 if named not in _REPEATING and _speaks_of_rate(error, ("message",)) else named


def of_exception(exc: Exception) -> Verdict:
    """Judge a request that got no answer. The message names the kind of failure, no address and no library text."""
    code, status = getattr(exc, "code", None), 502
    for kind in type(exc).__mro__:
        known = _FAILURES.get(kind.__name__)
        if known is not None:
            named, status = known
            code = code or named
            break
    code = code if code in _MESSAGES else "upstream_error"
    return Verdict("next_candidate", code, status, _MESSAGES[code])


#: By the name of httpx's exception, most of all its most derived one: what it means and what the client's status is.
_FAILURES: Final = {
    "ConnectTimeout": ("upstream_connect_timeout", 504),
    "PoolTimeout": ("upstream_pool_timeout", 503),
    "ReadTimeout": ("upstream_timeout", 504),
    "WriteTimeout": ("upstream_timeout", 504),
    "TimeoutException": ("upstream_timeout", 504),
    "ConnectError": ("upstream_unreachable", 502),
    "RemoteProtocolError": ("upstream_protocol", 502),
    "LocalProtocolError": ("upstream_protocol", 502),
    "DecodingError": ("upstream_protocol", 502),
    "NetworkError": ("upstream_cut", 502),
    "UnsupportedProtocol": ("egress_refused", 502),
}
_MESSAGES: Final = {
    "upstream_connect_timeout": "The upstream did not accept a connection in time.",
    "upstream_pool_timeout": "No connection to the upstream became free in time.",
    "upstream_timeout": "The upstream did not answer in time.",
    "upstream_unreachable": "The upstream could not be reached.",
    "upstream_protocol": "The upstream broke the HTTP protocol or hung up.",
    "upstream_cut": "The connection to the upstream broke.",
    "upstream_tls": "The upstream's certificate could not be verified.",
    "upstream_tls_timeout": "The upstream did not finish the TLS handshake in time.",
    "upstream_dns": "The upstream's name could not be resolved.",
    "upstream_too_large": "The upstream's answer is too large.",
    "upstream_error": "The request to the upstream failed.",
    "egress_refused": "The upstream's address is not allowed.",
}
