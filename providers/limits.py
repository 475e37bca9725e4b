"""What an upstream says of its limits: how long to wait, and whether only a person can end it. Pure.

Two kinds of refusal share the status 429. A rate passes by itself, mostly within a minute. A spend limit, an empty
balance or a daily quota does not: whoever waits and asks again is refused again. The key is spent, and people have to
be told. OpenAI, Anthropic and Google say which it is in members that only they fill; some balances come with 402, and
those of Anthropic's own limits as 400. Messages are believed where their first words are the upstream's.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

#: Longest pause an upstream may ask for that is believed, in seconds.
MAX_RETRY_AFTER: Final = 24 * 3600.0
#: Seconds that a rate asks for at most: who is told to wait for longer has used something up.
PASSING: Final = 30.0

#: In `code`, `type`, `status` or `details.error_code`, whole.
_SPENT: Final = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "enforced_spend_limit_reached",
        "insufficient_balance",
        "insufficient_credits",
        "insufficient_funds",
        "credits_exhausted",
    }
)
#: How messages of a spend limit begin: no request can put its own words there.
_SPENT_TEXTS: Final = (
    "you have reached your specified api usage limits",
    "you have reached your specified workspace api usage limits",
    "you have reached your api usage limits",
    "your credit balance is too low",
    "billing hard limit has been reached",
    "insufficient balance",
)
#: How messages begin of a balance that is too small for this request, and not for a smaller one: who asks for much must
#: not take the key away from those who ask for little. It is spent where nothing can be afforded at all.
_TOO_MUCH: Final = ("this request requires more credits, or fewer max_tokens", "prompt tokens limit exceeded")
_NOTHING_LEFT: Final = re.compile(r"can only afford 0\b")
_A_DAY: Final = re.compile(r"per.?day", re.IGNORECASE)
_REGAIN: Final = re.compile(r"regain access on (\d{4}-\d\d-\d\d) at (\d\d:\d\d) UTC")
_SECONDS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s\Z")


def is_spent(status: int, error: Mapping[str, Any]) -> bool:
    """Whether this refusal ends only when somebody pays, raises a limit, or a day or a month is over."""
    message = error.get("message")
    if isinstance(message, str) and message.lstrip().lower().startswith(_TOO_MUCH):
        return _NOTHING_LEFT.search(message) is not None
    if status == 402:
        return True
    details = error.get("details")
    named = [error.get(name) for name in ("code", "type", "status")]
    if isinstance(details, Mapping):
        named.append(details.get("error_code"))
    if any(isinstance(name, str) and name.lower() in _SPENT for name in named):
        return True
    if isinstance(message, str) and _says_spent(message):
        return True
    return any(_A_DAY.search(name) for name in _quotas(details))


def is_of_model(error: Mapping[str, Any]) -> bool:
    """Whether the limit is one model's: Google has quotas of each, and the same key may ask for others."""
    return any("permodel" in name.lower() for name in _quotas(error.get("details")))


def wait_of(headers: Mapping[str, str], error: Mapping[str, Any], now: Callable[[], float] = time.time) -> float | None:
    """Seconds that the upstream asks to wait, in its headers or, if they say nothing, in its error; None: it does not.

    Google says it in `details`, Anthropic's spend limits in their message.
    """
    told = retry_after_of(headers, now)
    if told is not None:
        return told
    for detail in _of_type(error.get("details"), "RetryInfo"):
        delay = detail.get("retryDelay")
        match = _SECONDS.match(delay) if isinstance(delay, str) else None
        if match:
            return min(float(match[1]), MAX_RETRY_AFTER)
    message = error.get("message")
    return _regained(message, now) if isinstance(message, str) and _says_spent(message) else None


def _says_spent(message: str) -> bool:
    return message.lstrip().lower().startswith(_SPENT_TEXTS)


def _regained(message: str, now: Callable[[], float]) -> float | None:
    regain = _REGAIN.search(message[:2048])
    if regain is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{regain[1]}T{regain[2]}").replace(tzinfo=UTC)
    except ValueError:
        return None
    return min(max(moment.timestamp() - now(), 0.0), MAX_RETRY_AFTER)


def retry_after_of(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds to wait as `retry-after-ms` and `Retry-After` (seconds or a date) say; None if neither can be read.

    Azure has sent milliseconds of 0 beside a second: then the second is meant.
    """
    told = [_seconds(headers.get("retry-after-ms"), 0.001, now), _seconds(headers.get("retry-after"), 1.0, now)]
    return told[0] or (told[1] if told[1] is not None else told[0])


def _seconds(text: str | None, scale: float, now: Callable[[], float]) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text) * scale
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now()
        except (ValueError, TypeError, OverflowError):
            return None
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _quotas(details: Any) -> Iterator[str]:
    """The names of the quotas that Google says were violated."""
    for detail in _of_type(details, "QuotaFailure"):
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            name = violation.get("quotaId") if isinstance(violation, dict) else None
            if isinstance(name, str):
                yield name
    for detail in _of_type(details, "ErrorInfo"):
        metadata = detail.get("metadata")
        name = metadata.get("quota_limit") if isinstance(metadata, dict) else None
        if isinstance(name, str):
            yield name


def _of_type(details: Any, kind: str) -> Iterator[dict[str, Any]]:
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type")).endswith(f"google.rpc.{kind}"):
            yield detail
