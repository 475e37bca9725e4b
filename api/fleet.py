"""Where the workers of an account tell that they are there: POST /fleet/register, again and again; /fleet/deregister.

A fleet token opens this for one account, and opens nothing else. Nobody waits for the database: what is told here is
known to this process at once, and to the others soon (`routing.fleet_rows`, `routing.fleet_words`).
"""

from __future__ import annotations

import logging
import re
import time
from typing import Annotated, Any, Final

import msgspec
from django.conf import settings
from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request

from api.answer import JSON, Answer
from api.auth import presented
from api.body import decoded, read_json
from api.errors import ApiError, Fault
from api.operations import Operation
from api.views import DataView
from keys.models import ApiToken
from keys.tokens import authenticate
from providers.entries import AccountEntry
from providers.hosts import BadUrl, origin_of
from providers.names import MODEL_NAME
from providers.secrets import Secret
from providers.workers import LONGEST, normal, why_refused
from routing.fleet import HEARTBEAT, JOBS, SILENCE, FleetFull, Word, Worker, fleet, unfit
from routing.snapshot import FLEET, Snapshot
from routing.store import store

log = logging.getLogger(__name__)

#: Bytes of what a worker may tell of itself.
MOST_BYTES: Final = 64 * 1024
MOST_MODELS: Final = 100
_WHERE: Final = re.compile(r" - at `\$\.?([a-z_]*)")

_Url = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
_Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Registration(msgspec.Struct):
    """What a worker tells. Members of other names are not read."""

    url: _Url
    type: str = ""
    models: Annotated[list[str], Meta(max_length=MOST_MODELS)] = []
    capacity: Annotated[int, Meta(ge=1, le=1_000_000)] = JOBS
    running: _Count = 0
    queued: _Count = 0
    secret: Annotated[str, Meta(max_length=512, pattern=r"\A[!-~]*\Z")] = ""


class Leaving(msgspec.Struct):
    """Which worker wants no more jobs: as it registered."""

    url: _Url


class FleetView(DataView):
    """An endpoint for workers: a fleet token is the only way in."""

    snapshot: Snapshot
    account: AccountEntry
    token_id: str

    def _enter(self, request: Request) -> None:
        self.trip.row.revision = store.current.revision
        if not store.ready:
            raise ApiError(Fault.SNAPSHOT_TOO_OLD if store.source else Fault.NOT_READY)
        text = presented(request._request.META)
        snapshot = store.current
        token = authenticate(snapshot.tokens, text, time.time()) if text else None
        if token is None:
            raise ApiError(Fault.INVALID_API_KEY)
        self.trip.snapshot_only(snapshot)
        if token.kind != ApiToken.Kind.FLEET:
            raise ApiError(Fault.FLEET_TOKEN_NEEDED)
        account = snapshot.accounts.get(token.account_id)
        if account is None:
            raise ApiError(Fault.INVALID_API_KEY)
        self.snapshot, self.account, self.token_id = snapshot, account, token.id

    async def _read(self, request: Request, kind: type[Any]) -> Any:
        """The body as this kind, its URL spelled in one way. Raises ApiError."""
        body = decoded(await read_json(request, MOST_BYTES))
        try:
            told = msgspec.convert(body, kind)
        except msgspec.ValidationError as error:
            where = _WHERE.search(str(error))
            text = _WHERE.sub(" - at `", str(error)) if where and not where[1] else str(error)
            raise ApiError(Fault.INVALID_PARAMETER, f"{text}.", param=where[1] if where else None) from None
        try:
            told.url = normal(told.url)
        except BadUrl as problem:
            raise ApiError(Fault.WORKER_REFUSED, f"No worker may be at this URL: {problem}.", param="url") from None
        return told

    def _told(self, worker: Worker) -> dict[str, Any]:
        """A worker as workers are told of it: without its secret, and without the name of who drained it."""
        routed = _routed(self.snapshot, self.account.id)
        told = shown(self.snapshot, worker)
        told["drained"] = bool(told.pop("drained_by"))
        return {
            **told,
            "heartbeat_seconds": HEARTBEAT,
            "silent_after_seconds": SILENCE,
            "unrouted": [model for model in worker.word.models if model not in routed],
        }

    def _answer(self, value: dict[str, Any]) -> HttpResponse:
        return Answer(msgspec.json.encode(value), [JSON, *self.trip.headers()], 200)


class Register(FleetView):
    """POST /fleet/register says that a worker is there, and again that it still is; GET lists those of the account."""

    endpoint = "fleet/register"
    operations = {
        "get": Operation("listWorkers", "WorkerList"),
        "post": Operation("registerWorker", "Worker", "WorkerRegistration"),
    }

    async def get(self, request: Request) -> HttpResponse:
        workers = sorted(fleet.of(self.account.id), key=lambda worker: worker.word.url)
        return self._answer({"object": "list", "data": [self._told(worker) for worker in workers]})

    async def post(self, request: Request) -> HttpResponse:
        told: Registration = await self._read(request, Registration)
        account = self.account
        refused = why_refused(told.url, account.private_network, account.worker_hosts)
        if refused is not None:
            text = f"No worker of account '{account.name}' may be at this URL: {refused}."
            raise ApiError(Fault.WORKER_REFUSED, text, param="url")
        models = tuple(dict.fromkeys([told.type] if told.type else []) | dict.fromkeys(told.models))
        if not models or not all(MODEL_NAME.match(model) for model in models):
            text = "`type` or `models` names what the worker serves, as the routes of its account call it upstream."
            raise ApiError(Fault.INVALID_PARAMETER, text, param="models" if told.models else "type")
        word = Word(
            account_id=account.id,
            token_id=self.token_id,
            url=told.url,
            models=models,
            capacity=min(told.capacity, settings.FLEET_MAX_JOBS),
            running=told.running,
            queued=told.queued,
            secret=Secret(told.secret) if told.secret else None,
        )
        known = fleet.get(word.worker_id) is not None
        try:
            worker = fleet.hear(word)
        except FleetFull:
            raise ApiError(Fault.FLEET_FULL, headers={"retry-after": str(int(HEARTBEAT))}) from None
        if not known:
            log.info("a worker of account %s registered at %s", account.name, origin_of(word.url))
        return self._answer(self._told(worker))


class Deregister(FleetView):
    """POST /fleet/deregister: no new jobs; those that run are finished."""

    endpoint = "fleet/deregister"
    http_method_names = ["post"]
    operations = {"post": Operation("deregisterWorker", "Worker", "WorkerLeaving")}

    async def post(self, request: Request) -> HttpResponse:
        told: Leaving = await self._read(request, Leaving)
        worker = next((one for one in fleet.of(self.account.id) if one.word.url == told.url), None)
        if worker is None:
            raise ApiError(Fault.WORKER_NOT_FOUND)
        word = msgspec.structs.replace(worker.word, leaves=True, token_id=self.token_id)
        return self._answer(self._told(fleet.hear(word)))


def shown(snapshot: Snapshot, worker: Worker) -> dict[str, Any]:
    """A worker as lists show it. `running`: jobs of this process there, and of others as it said last."""
    now, word = fleet.clock(), worker.word
    account = snapshot.accounts.get(word.account_id)
    return {
        "object": "worker",
        "id": worker.id,
        "account": account.name if account is not None else "",
        "url": word.url,
        "models": list(word.models),
        "capacity": word.capacity,
        "state": str(fleet.state(worker)),
        "problem": unfit(snapshot, worker),
        "drained_by": worker.drained_by,
        "running": worker.running + worker.elsewhere,
        "queued": word.queued,
        "errors": round(worker.errors_now(now), 1),
        "heard_seconds_ago": round(max(now - worker.heard_at, 0.0), 1),
    }


def _routed(snapshot: Snapshot, account_id: int) -> frozenset[str]:
    """The upstream models that routes lead to at an account's workers; found once per snapshot."""
    known = "routed to workers"
    found: dict[int, frozenset[str]] | None = snapshot.memo.get(known)
    if found is None:
        models: dict[int, set[str]] = {}
        for model in snapshot.models.values():
            for route in model.routes:
                if route.infra == FLEET:
                    models.setdefault(route.account_id, set()).add(route.upstream_model)
        found = snapshot.memo[known] = {owner: frozenset(names) for owner, names in models.items()}
    return found.get(account_id, frozenset())
