"""The parts of this dialect under their common names. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Client, Dialect, Upstream
from providers.dialects.google_generate.errors import envelope, event
from providers.dialects.google_generate.request import read_request
from providers.dialects.google_generate.response import read_answer, splice, write_answer
from providers.dialects.google_generate.stream import Reader
from providers.dialects.google_generate.tap import Tap
from providers.dialects.google_generate.words import NAME
from providers.dialects.google_generate.writer import Writer
from providers.dialects.google_generate.writing import write_request

GOOGLE_GENERATE: Final = Dialect(
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
