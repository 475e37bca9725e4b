"""Figures as Prometheus reads them, with the names of models and accounts or without (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from api.figures import Figures, Histogram

#: Upper bounds in seconds.
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

_TEXTS: Final = {
    "jackfield_request_seconds": "From arrival to the last byte.",
    "jackfield_first_byte_seconds": "From arrival to the upstream's first byte.",
    "jackfield_processes": "Gateway processes of this home.",
    "jackfield_requests_active": "Requests in hand.",
    "jackfield_requests_booked": "Requests in the in-flight tables.",
    "jackfield_journal_lines_waiting": "Lines that the disk refused so far.",
    "jackfield_journal_files": "Journal files not drained to the end.",
    "jackfield_journal_bytes": "Their size.",
    "jackfield_revision": "The oldest configuration revision that a process serves.",
    "jackfield_snapshot_age_seconds": "Since a snapshot was last known to be the newest; of the process longest ago.",
    "jackfield_degraded": "1 while a process cannot ask the database.",
    "jackfield_draining": "1 while a process is stopping.",
    "jackfield_journal_appended_total": "Lines written.",
    "jackfield_journal_failed_total": "Writes that the disk refused.",
    "jackfield_journal_lost_total": "Lines given up.",
    "jackfield_keys_spent_total": "Alarms about keys whose quota, balance or spend limit is used up.",
    "jackfield_requests_hedged_total": "Requests for which two places were asked at once.",
    "jackfield_hedges_won_total": "Those of them that the place asked later served.",
    "jackfield_connections": "Connections of clients.",
    "jackfield_connections_waiting": "Those of them that have no request in hand.",
    "jackfield_loop_late_seconds": "How late the event loop was in the last seconds, at worst.",
    "jackfield_memory_used_ratio": "Of the memory that there may be. 0: no limit is known.",
    "jackfield_overloaded": "1 while a process takes no requests.",
    "jackfield_requests_shed_total": "Requests told to come again because there was no room for them.",
    "jackfield_requests_over_share_total": "Those of them whose project had its share in hand.",
    "jackfield_requests_ended_for_memory_total": "Requests ended because memory ran short and they held the most.",
    "jackfield_connections_refused_total": "Connections whose requests were refused because there were too many.",
    "jackfield_connections_evicted_total": "Connections closed while they waited, to make room for new ones.",
    "jackfield_inflight_unbooked_total": "Requests that found no slot.",
    "jackfield_workers_active": "Workers of fleets that get jobs.",
    "jackfield_workers_draining": "Workers that finish what they have.",
    "jackfield_workers_silent": "Workers that were not heard of for a while.",
    "jackfield_worker_jobs": "Jobs that workers have now.",
    "jackfield_worker_jobs_waiting": "Jobs in line for a worker.",
    "jackfield_worker_failures_total": "Jobs that came to nothing at a worker.",
}


def exposition(figures: Figures, *, named: bool) -> str:
    """The whole page. Without names, requests are told by status and outcome and tokens by kind only."""
    lines: list[str] = []
    requests: dict[str, int] = {}
    for (model, account, status, outcome), number in figures.requests:
        names = {"model": model, "account": account} if named else {}
        labels = _labels(**names, status=str(status), outcome=outcome)
        requests[labels] = requests.get(labels, 0) + number
    tokens: dict[str, int] = {}
    for (model, account, kind), number in figures.tokens:
        labels = _labels(**({"model": model, "account": account} if named else {}), kind=kind)
        tokens[labels] = tokens.get(labels, 0) + number
    _family(lines, "jackfield_requests_total", "counter", "Requests by how they ended.", requests.items())
    _family(lines, "jackfield_tokens_total", "counter", "Tokens that upstreams reported.", tokens.items())
    for name, histogram in figures.histograms.items():
        _histogram(lines, name, histogram)
    for name, value in figures.gauges.items():
        _family(lines, name, "gauge", _TEXTS.get(name, "Upstream connections."), [("", value)])
    for name, number in figures.counters.items():
        _family(lines, name, "counter", _TEXTS.get(name, ""), [("", number)])
    return "\n".join(lines) + "\n"


def _family(lines: list[str], name: str, kind: str, text: str, series: Iterable[tuple[str, float]]) -> None:
    lines += (f"# HELP {name} {text}", f"# TYPE {name} {kind}")
    lines += (
        f"{name}{labels} {value:.10g}" if isinstance(value, float) else f"{name}{labels} {value}"
        for labels, value in series
    )


def _histogram(lines: list[str], name: str, histogram: Histogram) -> None:
    lines += (f"# HELP {name} {_TEXTS[name]}", f"# TYPE {name} histogram")
    so_far = 0
    for bound, number in zip((*map(str, BUCKETS), "+Inf"), histogram.buckets, strict=True):
        so_far += number
        lines.append(f'{name}_bucket{{le="{bound}"}} {so_far}')
    lines += (f"{name}_sum {histogram.sum_us / 1_000_000}", f"{name}_count {so_far}")


def _labels(**labels: str) -> str:
    def text(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{text(value)}"' for name, value in labels.items()) + "}"
