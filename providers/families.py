"""The wire APIs that providers speak. A family is a dialect (the JSON on the wire) at a kind of host. Pure.

A family without a dialect is known, shown and configurable, and requests cannot use it yet.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.dialects.openai_chat import dialect as openai_chat


class Family(msgspec.Struct, frozen=True):
    """`dialect` is a name in `providers.dialects.registry`; `chat_path` is appended to a base URL."""

    name: str
    dialect: str = ""
    chat_path: str = ""

    def speaks(self, dialect: str) -> bool:
        """Whether a request in this dialect can be sent to an upstream of this family."""
        return bool(dialect) and self.dialect == dialect

    @property
    def is_served(self) -> bool:
        """Whether it speaks the dialect of chat completions."""
        return self.speaks(OPENAI_CHAT)


#: The dialect of POST /v1/chat/completions, and the family that speaks it.
OPENAI_CHAT: Final = openai_chat.OPENAI_CHAT.name
OPENAI_COMPLETIONS: Final = "openai-completions"

_FAMILIES = (
    Family(OPENAI_COMPLETIONS, dialect=OPENAI_CHAT, chat_path="chat/completions"),
    Family("openai-responses", chat_path="responses"),
    Family("openai-codex-responses", chat_path="codex/responses"),
    Family("anthropic-messages", chat_path="v1/messages"),
    Family("google-generative-ai"),
    Family("google-vertex"),
    Family("google-vertex-anthropic"),
    Family("google-vertex-image"),
    Family("google-vertex-video"),
    Family("google-cloud-code-assist"),
    Family("azure-openai"),
    Family("azure-image"),
    Family("bedrock-converse"),
    Family("bedrock-converse-stream"),
    Family("cohere-chat", chat_path="chat"),
    Family("sap-ai-core"),
    Family("github-copilot"),
    Family("gitlab-duo"),
    Family("ollama-native"),
    Family("pollinations-simple"),
    Family("theta-on-demand"),
    Family("byteplus-image"),
    Family("byteplus-video"),
    Family("worker-fleet"),
)
FAMILIES: Final[dict[str, Family]] = {family.name: family for family in _FAMILIES}


def family_of(dialect: str) -> str:
    """The first family that speaks a dialect: what an endpoint of it asks for. Raises LookupError."""
    for family in FAMILIES.values():
        if family.speaks(dialect):
            return family.name
    raise LookupError(f"no family speaks {dialect}")


def choose(dialect: str, default: str, offered: dict[str, str], asked: str = "") -> str:
    """The family that serves a request in `dialect`.

    `asked` is what the route or account fixes and always wins. Otherwise the provider's `default` when it speaks the
    dialect, else the first of the families it also offers (`offered`: family -> base URL) that does, else `default`.
    """
    if asked:
        return asked
    for name in (default, *offered):
        family = FAMILIES.get(name)
        if family is not None and family.speaks(dialect):
            return name
    return default
