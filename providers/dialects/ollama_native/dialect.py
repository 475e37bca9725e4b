"""The parts of this dialect under their common names. Only upstreams speak it. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Dialect, Upstream
from providers.dialects.ndjson import Splitter
from providers.dialects.ollama_native.messages import NAME
from providers.dialects.ollama_native.request import write_request
from providers.dialects.ollama_native.response import read_answer
from providers.dialects.ollama_native.stream import Reader

OLLAMA_NATIVE: Final = Dialect(
    name=NAME,
    upstream=Upstream(
        write_request=write_request,
        read_answer=read_answer,
        reader=Reader,
        splitter=Splitter,
        accept="application/x-ndjson",
    ),
)
