"""What one request used: the row that grows with it, becomes one line of the journal and then one UsageRecord."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, Self

import msgspec

from providers.dialects.usage import Usage
from providers.entries import FactsEntry
from providers.families import OPENAI_CHAT
from routing.pricing import cost_micro


class Outcome(StrEnum):
    """How a request ended."""

    label: str

    OK = "ok", "served"
    PARTIAL = "partial", "cut by the upstream"
    CLIENT_GONE = "client_gone", "client left"
    ERROR = "error", "failed"
    INTERRUPTED = "interrupted", "the gateway was killed"

    def __new__(cls, value: str, label: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member


class Attempt(msgspec.Struct, omit_defaults=True):
    """One call of an upstream: which key (fingerprint), what came of it, how long it took in microseconds."""

    account: str
    model: str
    key: str = ""
    status: int = 0
    verdict: str = ""
    us: int = 0
    #: it was lost with the connection it was sent on, and sent a second time
    again: bool = False
    #: micro-USD at least, of what was given up because another answer began first; None: unknown, or nothing
    cost_micro: int | None = None


class Row(msgspec.Struct, omit_defaults=True):
    """One request, named and bounded as api.models.UsageRecord is. `started_at` is epoch seconds; unknown is None.
    `dialect` is the client's. `late`: said again, with the tokens that were not known when the request ended."""

    request_id: str
    started_at: float
    endpoint: str
    dialect: str = OPENAI_CHAT
    project: str = ""
    token_id: str = ""
    stream: bool = False
    model: str = ""
    served_model: str = ""
    account: str = ""
    provider: str = ""
    upstream_model: str = ""
    key_fingerprint: str = ""
    revision: int = 0
    status: int = 0
    outcome: str = ""
    error_code: str = ""
    fault: str = ""
    attempts: int = 0
    attempt_log: list[Attempt] = []
    plan: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    images: int | None = None
    cost_micro: int | None = None
    hedged: bool = False
    hedge_cost_micro: int | None = None
    queue_us: int | None = None
    resolve_us: int | None = None
    connect_us: int | None = None
    first_byte_us: int | None = None
    total_us: int | None = None
    late: bool = False


encode_row = msgspec.json.Encoder().encode


def new_request_id() -> str:
    """`req_` and 144 random bits in hexadecimal: 40 characters, as long as the column."""
    return "req_" + secrets.token_hex(18)


def microseconds(since: float, until: float | None = None) -> int:
    """Between two readings of perf_counter; `until` is now by default."""
    return int(((time.perf_counter() if until is None else until) - since) * 1_000_000)


def count(row: Row, usage: Usage | None, facts: FactsEntry | None) -> None:
    """Write tokens, pictures and cost into the row. What the upstream did not tell stays None, never 0 (A-25)."""
    if usage is None:
        return
    row.input_tokens = usage.input
    row.output_tokens = usage.output
    row.cache_read_tokens = usage.cache_read
    row.cache_write_tokens = usage.cache_write
    row.reasoning_tokens = usage.reasoning
    row.images = usage.images
    row.cost_micro = cost_micro(facts, usage)


def count_lost(row: Row, lost: Iterable[tuple[Attempt, FactsEntry | None]]) -> None:
    """Write what hedging cost: of each attempt that was given up the prompt at least, as long as the answer that came
    says it was, at that place's price. What it had written by then nobody tells. Unknown stays None."""
    costs: list[int | None] = []
    for attempt, facts in lost:
        prompt = Usage(input=row.input_tokens, output=0)
        attempt.cost_micro = cost_micro(facts, prompt)
        costs.append(attempt.cost_micro)
    if costs or (row.hedged and row.outcome == Outcome.OK):  # whose rival failed was given up by nobody
        row.hedge_cost_micro = None if None in costs else sum(filter(None, costs))


#: What `count` writes.
COUNTED: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_micro",
)  # fmt: skip


def as_record_fields(row: Row) -> dict[str, Any]:
    """The row as keyword arguments of UsageRecord, `started_at` still in epoch seconds."""
    fields = msgspec.structs.asdict(row) | {"attempt_log": msgspec.to_builtins(row.attempt_log)}
    del fields["late"]
    return fields
