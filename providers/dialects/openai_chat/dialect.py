"""The parts of this dialect under their common names. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Client, Dialect, Upstream
from providers.dialects.openai_chat.answering import write_answer
from providers.dialects.openai_chat.errors import envelope, event
from providers.dialects.openai_chat.reader import Reader
from providers.dialects.openai_chat.request import read_request
from providers.dialects.openai_chat.response import read_answer, splice
from providers.dialects.openai_chat.stream import Tap
from providers.dialects.openai_chat.writer import Writer
from providers.dialects.openai_chat.writing import write_request

OPENAI_CHAT: Final = Dialect(
    name="openai_chat",
    upstream=Upstream(write_request=write_request, read_answer=read_answer, reader=Reader),
    client=Client(
        read_request=read_request,
        write_answer=write_answer,
        writer=Writer,
        envelope=envelope,
        event=event,
        splice=splice,
        tap=Tap,
        stream_options=True,
    ),
)
