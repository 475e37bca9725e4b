"""What an error of the data plane says: its code, its status, who has to act and what they can do. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Domain(StrEnum):
    """Who has to act."""

    CALLER = "caller"
    POLICY = "policy"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"


class Meaning(NamedTuple):
    """What one code stands for. `type` is the word that OpenAI's envelope uses for the kind of error."""

    code: str
    status: int
    domain: Domain
    type: str
    text: str
    step: str


REQUEST = "invalid_request_error"
AUTH = "authentication_error"
PERMISSION = "permission_error"
RATE = "rate_limit_error"
UPSTREAM = "upstream_error"
SERVER = "server_error"


def caller(code: str, status: int, text: str, step: str, kind: str = REQUEST) -> Meaning:
    return Meaning(code, status, Domain.CALLER, kind, text, step)


def policy(code: str, status: int, text: str, step: str, kind: str = PERMISSION) -> Meaning:
    return Meaning(code, status, Domain.POLICY, kind, text, step)


def upstream(code: str, status: int, text: str, step: str, kind: str = UPSTREAM) -> Meaning:
    return Meaning(code, status, Domain.UPSTREAM, kind, text, step)


def gateway(code: str, status: int, text: str, step: str, kind: str = SERVER) -> Meaning:
    return Meaning(code, status, Domain.GATEWAY, kind, text, step)
