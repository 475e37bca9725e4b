"""The parts of this dialect under their common names. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.anthropic_messages.errors import envelope, event
from providers.dialects.anthropic_messages.reading import read_request
from providers.dialects.anthropic_messages.response import read_answer, splice, write_answer
from providers.dialects.anthropic_messages.stream import Reader
from providers.dialects.anthropic_messages.tap import Tap
from providers.dialects.anthropic_messages.words import NAME
from providers.dialects.anthropic_messages.writer import Writer
from providers.dialects.anthropic_messages.writing import write_request
from providers.dialects.dialect import Client, Dialect, Upstream

ANTHROPIC_MESSAGES: Final = Dialect(
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
