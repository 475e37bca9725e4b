"""What a refusal says about itself where no view was reached: in the protocol, and before or beside the views."""

from __future__ import annotations

from api.answer import JSON, Answer, Pairs
from api.errors import ApiError
from api.usage import new_request_id
from routing.store import store


def told(error: ApiError, request_id: str = "") -> Pairs:
    """Its headers without content-length: code, request id (a fresh one unless given), revision if one serves."""
    pairs = [
        JSON,
        (b"x-jackfield-error", error.fault.code.encode()),
        (b"x-jackfield-request-id", (request_id or new_request_id()).encode()),
    ]
    if store.source:
        pairs.append((b"x-jackfield-revision", b"%d" % store.current.revision))
    return pairs


def refusal(error: ApiError, request_id: str = "") -> Answer:
    """The whole answer."""
    return Answer(error.body(), told(error, request_id), error.status_code)
