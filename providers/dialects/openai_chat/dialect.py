"""The parts of this dialect under their common names. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Dialect
from providers.dialects.openai_chat.errors import envelope, event
from providers.dialects.openai_chat.response import splice
from providers.dialects.openai_chat.stream import Tap

OPENAI_CHAT: Final = Dialect("openai_chat", splice, Tap, envelope, event, done=b"data: [DONE]\n\n", stream_options=True)
