"""The parts of this dialect under their common names. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Client, Dialect, Upstream
from providers.dialects.openai_responses.errors import envelope, event
from providers.dialects.openai_responses.items import NAME
from providers.dialects.openai_responses.reading import read_request
from providers.dialects.openai_responses.response import read_answer, splice, write_answer
from providers.dialects.openai_responses.stream import Reader
from providers.dialects.openai_responses.tap import Tap
from providers.dialects.openai_responses.writer import Writer
from providers.dialects.openai_responses.writing import write_request

OPENAI_RESPONSES: Final = Dialect(
    name=NAME,
    upstream=Upstream(write_request=write_request, read_answer=read_answer, reader=Reader),
    client=Client(
        read_request=read_request,
        write_answer=write_answer,
        writer=Writer,
        envelope=envelope,
        event=event,
        splice=splice,
        tap=Tap,
    ),
)
