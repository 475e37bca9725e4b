"""The parts of this dialect under their common names. Only upstreams speak it. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.cohere_chat.messages import NAME
from providers.dialects.cohere_chat.request import write_request
from providers.dialects.cohere_chat.response import read_answer
from providers.dialects.cohere_chat.stream import Reader
from providers.dialects.dialect import Dialect, Upstream

COHERE_CHAT: Final = Dialect(
    name=NAME,
    upstream=Upstream(write_request=write_request, read_answer=read_answer, reader=Reader),
)
