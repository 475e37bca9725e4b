"""The dialects there are, by name. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Dialect
from providers.dialects.openai_chat.dialect import OPENAI_CHAT

DIALECTS: Final[dict[str, Dialect]] = {dialect.name: dialect for dialect in (OPENAI_CHAT,)}
