"""What Code Assist wraps around Gemini's requests and answers. Pure.

`{"model", "project", "request": {..}}` goes out, where the family says `model` and `project`; whole answers and the
events of streams are `{"response": {..}, "traceId"}`. Errors come bare. Source: google-gemini/gemini-cli,
`packages/core/src/code_assist/converter.ts` and `server.ts`. Its `user_prompt_id` and `session_id`, which are optional
and tell its own telemetry apart, are not sent; credits that an answer tells of are not read.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.dialects.canon import Written
from providers.dialects.jsonio import BadBody, read_trusting
from providers.dialects.values import UNREADABLE

_ID: Final = "responseId"
_NOTHING: Final = b"null"


class _Wrapped(msgspec.Struct, gc=False):
    response: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    traceId: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode: Final = msgspec.json.Decoder(_Wrapped).decode


def wrapped(written: Written) -> Written:
    """A request in its envelope. The tier of service is the Gemini API's alone."""
    body = {name: value for name, value in written.body.items() if name != "serviceTier"}
    lost = ("service_tier",) if "serviceTier" in written.body else ()
    return Written({"request": body}, (*written.dropped, *lost), written.headers)


def opened(data: bytes) -> bytes | None:
    """The response inside, None where there is none; an error, and what is no envelope, as it is.

    A response without an id of its own gets the envelope's: ids of calls are made of it.
    """
    try:
        found = _decode(data)
    except UNREADABLE:
        return data
    if found.error is not msgspec.UNSET and bytes(found.error) != _NOTHING:
        return data
    if found.response is msgspec.UNSET or bytes(found.response) == _NOTHING:
        return None
    response = bytes(found.response)
    trace = b"" if found.traceId is msgspec.UNSET else bytes(found.traceId)
    if not trace.startswith(b'"'):
        return response
    try:
        fields = read_trusting(response)
        return response if _ID in fields else fields.replace(_ID, trace)
    except BadBody:
        return response
