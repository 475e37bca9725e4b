"""The parts of this dialect under their common names. Only upstreams speak it. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.bedrock_converse.content import NAME
from providers.dialects.bedrock_converse.request import write_request
from providers.dialects.bedrock_converse.response import read_answer
from providers.dialects.bedrock_converse.stream import Reader
from providers.dialects.dialect import Dialect, Upstream
from providers.dialects.eventstream import Splitter

BEDROCK_CONVERSE: Final = Dialect(
    name=NAME,
    upstream=Upstream(
        write_request=write_request,
        read_answer=read_answer,
        reader=Reader,
        splitter=Splitter,
        accept="application/vnd.amazon.eventstream",
    ),
)
