"""What Bedrock's models can be told, by the name of the model. Pure.

One API carries the models of many makers, and refuses what a model does not know instead of passing over it. A name
that says nothing of its maker (an application inference profile) is helped by the quirk `vendor`.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.dialects.canon import Target

#: The maker stands behind the region's prefix, if there is one, and at the end of an ARN.
_VENDOR: Final = re.compile(
    r"(?:^|[./])(?P<vendor>ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|nvidia"
    r"|openai|qwen|twelvelabs|writer|zai)\.(?P<model>.+)$"
)
_CLAUDE: Final = re.compile(r"claude-(?:(?P<name>[a-z]+)-)?(?P<major>\d{1,2})(?:-(?P<minor>\d{1,2}))?(?!\d)")
#: Claudes that always think, whatever they are told.
_ALWAYS: Final = ("fable", "mythos")
#: Makers whose models take a schema for the text of their answers.
_OPEN_WEIGHTS: Final = frozenset({"deepseek", "google", "minimax", "moonshot", "moonshotai", "nvidia", "openai"}) | {
    "mistral",
    "qwen",
    "zai",
}
#: Makers whose models cannot be made to call a tool.
_CANNOT_FORCE: Final = frozenset({"ai21", "cohere", "deepseek", "meta", "writer"})


class Model(msgspec.Struct, frozen=True):
    """A model by its maker and, of a Claude, its version: (4, 6) is 4.6."""

    vendor: str
    name: str
    claude: tuple[int, int] = (0, 0)

    @property
    def is_claude(self) -> bool:
        return self.vendor == "anthropic"

    @property
    def is_nova(self) -> bool:
        return self.vendor == "amazon" and "nova" in self.name

    @property
    def always_thinks(self) -> bool:
        """It cannot be told not to think."""
        if any(word in self.name for word in _ALWAYS):
            return self.is_claude
        return self.is_claude and "opus" in self.name and self.claude >= (5, 5)

    @property
    def adapts(self) -> bool:
        """It thinks as much as it likes, by an effort in words instead of a budget."""
        return self.is_claude and (self.claude >= (4, 6) or self.always_thinks)

    @property
    def refuses_sampling(self) -> bool:
        return self.is_claude and (self.claude >= (4, 7) or self.always_thinks)

    @property
    def thinks_by_budget(self) -> bool:
        return self.is_claude and (3, 7) <= self.claude < (4, 6) and not self.always_thinks

    @property
    def takes_schema(self) -> bool:
        """The text of its answer can be held to a JSON schema, and the arguments of its tool calls too."""
        if self.is_claude:
            return self.claude >= (4, 5) or self.always_thinks
        return self.vendor in _OPEN_WEIGHTS and "deepseek.r1" not in f"{self.vendor}.{self.name}"

    @property
    def can_be_forced(self) -> bool:
        """It can be made to call some tool."""
        if self.always_thinks and (self.claude > (5, 0) or "preview" in self.name):
            return False
        return self.vendor not in _CANNOT_FORCE and "titan" not in self.name

    @property
    def thinks_when_forced(self) -> bool:
        """It may think before a call that it must make."""
        return not self.is_claude or self.claude >= (4, 8) or self.always_thinks

    @property
    def can_be_forced_by_name(self) -> bool:
        return self.is_claude or self.is_nova

    @property
    def caches(self) -> bool:
        """It takes cache points."""
        return self.is_claude or self.is_nova

    @property
    def takes_status(self) -> bool:
        """It takes the status of a tool's result."""
        return self.is_claude or self.is_nova


def model_of(target: Target) -> Model:
    """What is known of the target's model."""
    name = target.model.lower()
    match = _VENDOR.search(name)
    vendor, rest = (match["vendor"], match["model"]) if match else ("", name)
    said = target.quirks.get("vendor")
    if isinstance(said, str) and said:
        vendor = said
    elif not match and "claude" in name:
        vendor = "anthropic"
    return Model(vendor, rest, _version(rest))


def _version(name: str) -> tuple[int, int]:
    match = _CLAUDE.search(name)
    return (int(match["major"]), int(match["minor"] or 0)) if match else (0, 0)
