"""What came of an attempt that brought no answer: verdicts of our own, and what the client is told."""

from __future__ import annotations

import math
from typing import Final, Literal

from api.errors import BY_CODE, ApiError, Fault
from providers.families import FAMILIES
from providers.verdicts import Verdict
from routing.resolve import Candidate

_STATUS_FAULTS: Final = {429: Fault.RATE_LIMITED, 401: Fault.UPSTREAM_AUTH, 503: Fault.UPSTREAM_OVERLOADED}


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
