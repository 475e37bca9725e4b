"""The parts of this dialect under their common names. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.dialect import Client, Dialect, Upstream
from providers.dialects.openai_chat.errors import envelope, event
from providers.dialects.openai_chat.response import splice
from providers.dialects.openai_chat.stream import Tap


def _coming(*_: Any) -> Any:
    raise NotImplementedError


OPENAI_CHAT: Final = Dialect(
    name="openai_chat",
    upstream=Upstream(write_request=_coming, read_answer=_coming, reader=_coming),
    client=Client(
        read_request=_coming,
        write_answer=_coming,
        writer=_coming,
        envelope=envelope,
        event=event,
        splice=splice,
        tap=Tap,
        stream_options=True,
    ),
)
