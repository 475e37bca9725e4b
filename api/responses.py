"""/v1/responses: asking, and coming back to what was answered. A project sees its own responses only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request

from api import background, counting, forward, recalling
from api.answer import JSON, Answer
from api.auth import Caller
from api.body import read_json, unreadable
from api.counting import Counting
from api.errors import ApiError, Fault
from api.keeping import Turn
from api.operations import Operation
from api.room import room
from api.turns import DIALECT, Links, Turning, no_earlier, with_earlier, with_items
from api.views import Conversation, DataView
from providers.dialects.jsonio import BadBody, Fields
from providers.dialects.openai_responses.turns import references

_MOST: Final = 100
_USUAL: Final = 20
#: Items that one request may name by their ids.
_MOST_NAMED: Final = 1000


class Responses(Conversation):
    """POST /v1/responses."""

    endpoint = "responses"
    dialect = DIALECT
    operations = {"post": Operation("respond", "Response", "ResponsesRequest", streams=True)}

    async def post(self, request: Request) -> HttpResponseBase:
        fields, links = await self._whole(request)
        keeper = None if fields.flag("store") is False else _project(request)
        return await forward.answer(self.trip, Turning(fields, self.trip, keeper, links))

    async def _whole(self, request: Request) -> tuple[Fields, Links]:
        """The request with the earlier turns and items in it that it names. Raises ApiError."""
        fields = await read_json(request)
        earlier = _earlier(fields)
        fields, unknown_item = await _with_items(_project(request), fields)
        turn = await recalling.recall(_project(request), earlier) if earlier else None
        if turn is None and earlier:
            await self._refuse_anothers(_project(request), earlier)
        if turn is None or turn.alone:
            return fields, Links("", earlier, unknown_item)
        turn = await background.present(self.trip, turn)
        if not turn.is_answer:
            text = f"The response '{earlier}' has no answer to go on from."
            raise ApiError(Fault.INVALID_PARAMETER, text, param="previous_response_id")
        try:
            return with_earlier(fields, turn), Links(earlier, "", unknown_item)
        except BadBody as problem:
            raise unreadable(problem) from None

    async def _refuse_anothers(self, project: int, earlier: str) -> None:
        """An upstream that knows the key goes on from any response of its own, whichever project was given it.

        Raises ApiError.
        """
        assert self.trip.snapshot is not None
        others = self.trip.snapshot.projects.keys() - {project}
        if others and await recalling.is_anothers(earlier, others):
            raise no_earlier(earlier)


class InputTokens(Responses):
    """POST /v1/responses/input_tokens: how many tokens the request has, earlier turns included."""

    endpoint = "count_tokens"
    operations = {"post": Operation("countInputTokens", "InputTokens", "InputTokensRequest")}

    async def post(self, request: Request) -> HttpResponseBase:
        fields, _ = await self._whole(request)
        return await counting.count(self.trip, Counting(self.dialect, fields))


class Stored(DataView):
    """GET and DELETE /v1/responses/{id}."""

    endpoint = "responses"
    dialect = DIALECT
    http_method_names = ["get", "delete"]
    operations = {
        "get": Operation("response", "Response"),
        "delete": Operation("forgetResponse", "DeletedResponse"),
    }

    async def get(self, request: Request, response: str) -> HttpResponse:
        if _query(request).get("stream", ["false"])[-1] not in ("", "false", "0"):
            raise ApiError(Fault.UNSUPPORTED, "A kept response is not streamed.", param="stream")
        turn = self._seen(await _found(request, response))
        with _in_hand(turn, _project(request)):
            return self._say_turn(await background.present(self.trip, turn))

    async def delete(self, request: Request, response: str) -> HttpResponse:
        if not await recalling.forget(_project(request), response):
            raise _missing(response)
        return self._say(msgspec.json.encode({"id": response, "object": "response", "deleted": True}))

    def _seen(self, turn: Turn) -> Turn:
        """A turn that was found; the answer says where one is made that is asked after."""
        if turn.place is not None:
            assert self.trip.snapshot is not None
            account = self.trip.snapshot.accounts.get(turn.place.account)
            self.trip.row.account = account.name if account is not None else ""
            self.trip.row.upstream_model = turn.place.upstream_model
            self.trip.row.attempts = 1
        return turn

    def _say_turn(self, turn: Turn) -> HttpResponse:
        return self._say(bytes(turn.response))

    def _say(self, body: bytes) -> HttpResponse:
        return Answer(body, [JSON, *self.trip.headers()])


class Cancelled(Stored):
    """POST /v1/responses/{id}/cancel: calls off what is being made in the background."""

    http_method_names = ["post"]
    operations = {"post": Operation("cancelResponse", "Response")}

    async def post(self, request: Request, response: str) -> HttpResponse:
        turn = self._seen(await _found(request, response))
        with _in_hand(turn, _project(request)):
            return self._say_turn(await background.cancelled(self.trip, turn))


class InputItems(Stored):
    """GET /v1/responses/{id}/input_items: what the response answered, earlier turns included."""

    http_method_names = ["get"]
    operations = {"get": Operation("inputItems", "InputItems", parameters=("limit", "order", "after"))}

    async def get(self, request: Request, response: str) -> HttpResponse:
        query = _query(request)
        turn = await _found(request, response)
        if turn.alone:
            text = "The upstream alone knows what this response answers."
            raise ApiError(Fault.RESPONSE_NOT_FOUND, text, step="Ask its provider.")
        items = _items(turn)
        if query.get("order", ["desc"])[-1] != "asc":
            items.reverse()
        after = query.get("after", [""])[-1]
        if after:
            ids = [item["id"] for item in items]
            if after not in ids:
                raise ApiError(Fault.INVALID_PARAMETER, "`after` names no item of this response.", param="after")
            items = items[ids.index(after) + 1 :]
        limit = query.get("limit", [str(_USUAL)])[-1]
        if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 0 < int(limit) <= _MOST):
            raise ApiError(Fault.INVALID_PARAMETER, f"`limit` must be from 1 to {_MOST}.", param="limit")
        page = items[: int(limit)]
        listed = {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > len(page),
        }
        return self._say(msgspec.json.encode(listed))


def _project(request: Request) -> int:
    caller = request.user
    assert isinstance(caller, Caller)
    return caller.project.id


def _earlier(fields: Fields) -> str:
    """The id of the response that this request goes on from. Raises ApiError."""
    earlier = fields.text("previous_response_id")
    if earlier is None:
        if fields.get("previous_response_id") not in (None, b"null"):
            text = "`previous_response_id` must be a string."
            raise ApiError(Fault.INVALID_PARAMETER, text, param="previous_response_id")
        return ""
    if earlier and fields.get("conversation") not in (None, b"null"):
        text = "`previous_response_id` and `conversation` exclude each other."
        raise ApiError(Fault.INVALID_PARAMETER, text, param="previous_response_id")
    return earlier


async def _with_items(project: int, fields: Fields) -> tuple[Fields, str]:
    """The request with our items in place of their ids, and the first id that is not ours. Raises ApiError."""
    named = references(fields.get("input") or b"")
    if not named:
        return fields, ""
    if len(named) > _MOST_NAMED:
        raise ApiError(
            Fault.INVALID_PARAMETER, f"`input` names more than {_MOST_NAMED} items by their ids.", param="input"
        )
    found = await recalling.recall_items(project, named)
    unknown = next((name for name in named if name not in found), "")
    if not found:
        return fields, unknown
    try:
        return with_items(fields, found), unknown
    except BadBody as problem:
        raise unreadable(problem) from None


async def _found(request: Request, name: str) -> Turn:
    turn = await recalling.recall(_project(request), name)
    if turn is None:
        raise _missing(name)
    return turn


@contextmanager
def _in_hand(turn: Turn, project: int) -> Iterator[None]:
    """Counted among the requests in hand where an upstream is asked, though it leaves no row. Raises ApiError."""
    if turn.place is None:
        yield
        return
    room.refuse_if_full()
    room.enter(project)
    try:
        yield
    finally:
        room.leave(project)


def _missing(name: str) -> ApiError:
    return ApiError(Fault.RESPONSE_NOT_FOUND, f"Response with id '{name}' not found.")


def _query(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(request.META["QUERY_STRING"], max_num_fields=32)
    except ValueError:
        raise ApiError(Fault.INVALID_PARAMETER, "The query has too many parameters.") from None


def _items(turn: Turn) -> list[dict[str, Any]]:
    """The items of a request's input as the API lists them: each with a type, an id and, if a message, parts."""
    asked: Any = msgspec.json.decode(turn.input)
    if isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    items = [item for item in asked if isinstance(item, dict)] if isinstance(asked, list) else []
    return [_listed(item, turn.id, number) for number, item in enumerate(items)]


def _listed(item: dict[str, Any], response_id: str, number: int) -> dict[str, Any]:
    kind = item.get("type") or "message"
    if not item.get("id"):
        stem = "msg" if kind == "message" else "item"
        item = {"id": f"{stem}_{hashlib.sha256(f'{response_id} {number}'.encode()).hexdigest()[:32]}", **item}
    content = item.get("content")
    if kind != "message" or not isinstance(content, str):
        return {**item, "type": kind}
    part = "output_text" if item.get("role") == "assistant" else "input_text"
    more: dict[str, Any] = {"annotations": []} if part == "output_text" else {}
    return {"status": "completed", **item, "type": kind, "content": [{"type": part, "text": content, **more}]}
