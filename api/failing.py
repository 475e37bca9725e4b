"""What came of an attempt that brought no answer: verdicts of our own, and what the client is told."""

from __future__ import annotations

import math
from typing import Final, Literal

from api.errors import BY_CODE, ApiError, Fault
from providers.families import FAMILIES
from providers.verdicts import Verdict
from routing.candidates import Candidate
from routing.places import Failure

_STATUS_FAULTS: Final = {429: Fault.RATE_LIMITED, 401: Fault.UPSTREAM_AUTH, 503: Fault.UPSTREAM_OVERLOADED}


#: What each failure says of the place where it happened; what is missing here says nothing of it.
_FAILURES: Final = {
    Fault.UNREACHABLE: Failure.CONNECT,
    Fault.DNS_FAILED: Failure.CONNECT,
    Fault.TLS_FAILED: Failure.CONNECT,
    Fault.TLS_TIMEOUT: Failure.CONNECT,
    Fault.CONNECT_TIMEOUT: Failure.CONNECT,
    Fault.TIMEOUT: Failure.TIMEOUT,
    Fault.GAP_TIMEOUT: Failure.TIMEOUT,
    Fault.TOTAL_TIMEOUT: Failure.TIMEOUT,
    Fault.UPSTREAM_ERROR: Failure.SERVER,
    Fault.PROTOCOL: Failure.SERVER,
    Fault.REDIRECT: Failure.SERVER,
    Fault.BAD_ANSWER: Failure.SERVER,
    Fault.ANSWER_TOO_LARGE: Failure.SERVER,
    Fault.STREAM_ERROR: Failure.SERVER,
    Fault.UPSTREAM_OVERLOADED: Failure.OVERLOADED,
    Fault.CUT: Failure.CUT,
    Fault.RATE_LIMITED: Failure.LIMITED,
    Fault.EXHAUSTED: Failure.LIMITED,
    Fault.UPSTREAM_AUTH: Failure.REFUSED,
    Fault.UPSTREAM_PAYMENT: Failure.REFUSED,
    Fault.UPSTREAM_FORBIDDEN: Failure.REFUSED,
    Fault.UPSTREAM_NOT_FOUND: Failure.REFUSED,
}
_FAILURES_BY_CODE: Final = {fault.code: failure for fault, failure in _FAILURES.items()}


def failure_of(code: str) -> Failure | None:
    """What a verdict or the end of a stream with this code says of the place; None: nothing."""
    return _FAILURES_BY_CODE.get(code)


def is_whole(content_type: str) -> bool:
    """Whether an answer is one JSON value, also where a stream was asked for; lines of JSON are a stream."""
    return "json" in content_type and "ndjson" not in content_type


def verdict_of(fault: Fault, kind: Literal["next_candidate", "final"] = "next_candidate") -> Verdict:
    return Verdict(kind, fault.code, fault.status, fault.value.text)


def error_of(verdict: Verdict, candidate: Candidate, dialect: str) -> ApiError:
    """What the client gets if this was the last attempt. The upstream's own words for its kind of error are passed on
    to a client of the same dialect only.

    Where an upstream refused our key or does not know the model we asked for, its own words read as if the caller's
    token or model name were wrong: a sentence says whose they are.
    """
    message, account = verdict.message, candidate.account.name
    if verdict.status in (401, 402, 403, 404) and verdict.error is not None:
        message += f" (said by the upstream of account '{account}' of its key or model there; your token is fine)"
    elif verdict.code == "egress_refused":
        message += f" Account '{account}' may not reach private addresses, plain HTTP or ports other than 443."
    fault = BY_CODE.get(verdict.code) or _STATUS_FAULTS.get(verdict.status, Fault.UPSTREAM_ERROR)
    headers: dict[str, str] = {}
    if verdict.retry_after is not None:
        headers["retry-after"] = str(math.ceil(verdict.retry_after))
    error = verdict.error if FAMILIES[candidate.family].speaks(dialect) else None
    return ApiError(fault, message, status=verdict.status, headers=headers, error=error)
