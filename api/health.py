"""How this process is: alive, ready, and in figures. Served hop-free beside /v1, to probes without a token."""

from __future__ import annotations

import asyncio
import os
import time
from bisect import bisect_left
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views import View

from api import drain, journal
from api.auth import presented
from api.connections import connections
from api.errors import ApiError
from api.exposition import BUCKETS, exposition
from api.figures import Board, Figures, Histogram, collect
from api.operations import Operation
from api.pressure import pressure
from api.room import room
from api.usage import Outcome, Row
from keys.pool import pool
from keys.tokens import authenticate
from providers import transport
from routing.fleet import State, fleet
from routing.store import store

#: True from the moment the process was told to stop: not ready any more, requests in hand are finished.
stopping = False

#: Label sets kept; a caller can make up models of a provider's. What has none of its own is counted under this model.
_MOST_SERIES = 10_000
_OTHER: Final = "other"

#: Seconds between two writes of the figures for the other processes.
SHARE_EVERY: Final = 1.0
#: Seconds for which the size of the journal, once asked for, is told again.
BACKLOG_EVERY: Final = 5.0
#: The kind of token that may see names.
_ADMIN: Final = "a"

_kept: Board | None = None
_timer: asyncio.TimerHandle | None = None
#: (the journal's folder, when it was looked through, its files and bytes)
_waiting: tuple[Path, float, tuple[int, int]] | None = None
_requests: dict[tuple[str, str, int, str], int] = {}
_tokens: dict[tuple[str, str, str], int] = {}
_hedges = {"jackfield_requests_hedged_total": 0, "jackfield_hedges_won_total": 0}


_total = Histogram([0] * (len(BUCKETS) + 1))
_first_byte = Histogram([0] * (len(BUCKETS) + 1))


def count(row: Row) -> None:
    """Take a finished request into the figures."""
    series = (row.served_model, row.account, row.status, row.outcome)
    if series not in _requests and len(_requests) >= _MOST_SERIES:
        series = (_OTHER, "", row.status, row.outcome)
    _requests[series] = _requests.get(series, 0) + 1
    if row.total_us is not None:
        _observe(_total, row.total_us)
    if row.first_byte_us is not None:
        _observe(_first_byte, row.first_byte_us)
    if row.hedged:
        _hedges["jackfield_requests_hedged_total"] += 1
        _hedges["jackfield_hedges_won_total"] += row.outcome == Outcome.OK and row.attempt_log[-1].verdict == ""
    count_tokens(row)


def count_tokens(row: Row) -> None:
    """Take the tokens of a request into the figures."""
    for kind, tokens in (("input", row.input_tokens), ("output", row.output_tokens)):
        if tokens:
            name = (row.served_model, row.account, kind)
            if name not in _tokens and len(_tokens) >= _MOST_SERIES:
                name = (_OTHER, "", kind)
            _tokens[name] = _tokens.get(name, 0) + tokens


def _observe(histogram: Histogram, us: int) -> None:
    histogram.buckets[bisect_left(BUCKETS, us / 1_000_000)] += 1
    histogram.sum_us += us


def stop() -> None:
    """From now on this process is not ready."""
    global stopping  # noqa: PLW0603 - one process, one state
    stopping = True


def start() -> None:
    """Undo `stop`, where a process serves again."""
    global stopping  # noqa: PLW0603 - one process, one state
    stopping = False


class _Probe(View):
    http_method_names = ["get"]


class Healthz(_Probe):
    """Alive: the event loop answers."""

    operations = {"get": Operation("isAlive", says={"200": "The process is alive."})}

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(b"ok\n", content_type="text/plain")


class Readyz(_Probe):
    """Ready: a snapshot serves. Without a database it is ready and says that it is degraded."""

    operations = {
        "get": Operation(
            "isReady", "Readiness", says={"200": "It has a configuration that may serve.", "503": "It has none."}
        )
    }

    async def get(self, request: HttpRequest) -> HttpResponse:
        ready = store.ready and not stopping
        state: dict[str, Any] = {
            "ready": ready,
            "draining": stopping,
            "database": not store.degraded,
            **store.status(),
        }
        if not _may_see_names(request):
            state["problem"] = bool(state["problem"])
        return HttpResponse(msgspec.json.encode(state), status=200 if ready else 503, content_type="application/json")


class Metrics(_Probe):
    """Figures of all processes of this home, as Prometheus reads them; names of models and accounts for admins only."""

    operations = {"get": Operation("measure", says={"200": "Figures for Prometheus."})}

    async def get(self, request: HttpRequest) -> HttpResponse:
        board = _board()
        own = _own()
        shared = board.write(own)  # what is told now stays in the sum, should this process be killed
        figures = await asyncio.to_thread(_collect, board.folder, None if shared else own)
        page = exposition(figures, named=_may_see_names(request))
        return HttpResponse(page.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _may_see_names(request: HttpRequest) -> bool:
    """A token of the kind `a` was presented, or the figures are open. Loopback is no credential: proxies are there."""
    if settings.METRICS_OPEN:
        return True
    try:
        text = presented(request.META)
    except ApiError:
        return False
    token = authenticate(store.current.tokens, text, time.time()) if text and store.ready else None
    project = None if token is None or token.kind != _ADMIN else store.current.projects.get(token.project_id)
    return project is not None and project.enabled


# --- figures, shared ------------------------------------------------------------------------------------------------


def share() -> None:
    """Write this process's figures now and every second, on the running loop, until `unshare`."""
    global _timer  # noqa: PLW0603 - one per process: its figures are one file
    begun = time.perf_counter()
    _board().write(_own())
    # Ten thousand series take some milliseconds to write: then it is done less often.
    pause = max(SHARE_EVERY, (time.perf_counter() - begun) * 50)
    _timer = asyncio.get_running_loop().call_later(pause, share)


def unshare() -> None:
    """Write them a last time."""
    global _timer  # noqa: PLW0603 - one per process: its figures are one file
    if _timer is not None:
        _timer.cancel()
        _timer = None
        _board().write(_own())


def _board() -> Board:
    global _kept  # noqa: PLW0603 - one per process; a forked child opens its own
    folder = settings.HOME.root / "figures"
    if _kept is None or _kept.pid != os.getpid() or _kept.folder != folder:
        _kept = Board(folder)
    return _kept


def _collect(folder: Path, unshared: Figures | None) -> Figures:
    """The sum, in a thread: only the loop writes."""
    global _waiting  # noqa: PLW0603 - a journal of many files is looked through once for many scrapes
    whole, processes = collect(folder, unshared)
    journals, now = settings.HOME.journal, time.monotonic()
    if _waiting is None or _waiting[0] != journals or now - _waiting[1] >= BACKLOG_EVERY:
        _waiting = (journals, now, drain.backlog(journals))
    files, size = _waiting[2]
    whole.gauges |= {
        "jackfield_processes": processes,
        "jackfield_journal_files": files,
        "jackfield_journal_bytes": size,
    }
    return whole


def _own() -> Figures:
    """This process's figures now."""
    written = journal.current()
    gauges: dict[str, float] = {
        "jackfield_requests_active": room.in_hand,
        "jackfield_connections": len(connections),
        "jackfield_connections_waiting": connections.waiting,
        "jackfield_loop_late_seconds": pressure.late,
        "jackfield_memory_used_ratio": pressure.memory,
        "jackfield_overloaded": int(room.full),
        "jackfield_requests_booked": len(written.inflight),
        "jackfield_journal_lines_waiting": len(written.queue),
        "jackfield_revision": store.current.revision,
        "jackfield_snapshot_age_seconds": store.status()["age_seconds"] or 0,
        "jackfield_degraded": int(store.degraded),
        "jackfield_draining": int(stopping),
    }
    states = Counter(map(fleet.state, fleet))
    gauges |= {f"jackfield_workers_{state}": states[state] for state in State}
    gauges["jackfield_worker_jobs"] = sum(worker.running for worker in fleet)
    gauges["jackfield_worker_jobs_waiting"] = fleet.in_line
    stats = getattr(transport.current(), "stats", None)
    if stats is not None:
        gauges |= {f"jackfield_upstream_{name}": value for name, value in stats().items() if isinstance(value, int)}
    return Figures(
        requests=list(_requests.items()),
        tokens=list(_tokens.items()),
        histograms={
            "jackfield_request_seconds": Histogram(list(_total.buckets), _total.sum_us),
            "jackfield_first_byte_seconds": Histogram(list(_first_byte.buckets), _first_byte.sum_us),
        },
        counters={
            "jackfield_journal_appended_total": written.appended,
            "jackfield_journal_failed_total": written.failed,
            "jackfield_journal_lost_total": written.lost,
            "jackfield_keys_spent_total": pool.spent.total,
            "jackfield_requests_shed_total": room.shed,
            "jackfield_requests_over_share_total": room.over_share,
            "jackfield_requests_ended_for_memory_total": connections.ended,
            "jackfield_connections_refused_total": connections.refused,
            "jackfield_connections_evicted_total": connections.evicted,
            "jackfield_inflight_unbooked_total": written.inflight.unbooked,
            "jackfield_worker_failures_total": fleet.failures,
            **_hedges,
        },
        gauges=gauges,
    )
