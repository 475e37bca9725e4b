"""The dialects there are, by name. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Client, Dialect, Upstream
from providers.dialects.openai_chat.dialect import OPENAI_CHAT

DIALECTS: Final[dict[str, Dialect]] = {dialect.name: dialect for dialect in (OPENAI_CHAT,)}
#: Those that clients speak, and those that upstreams do.
CLIENTS: Final[dict[str, Client]] = {
    name: dialect.client for name, dialect in DIALECTS.items() if dialect.client is not None
}
UPSTREAMS: Final[dict[str, Upstream]] = {
    name: dialect.upstream for name, dialect in DIALECTS.items() if dialect.upstream is not None
}
