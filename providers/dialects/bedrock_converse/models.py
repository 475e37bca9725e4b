"""What Bedrock's models can be told, by the name of the model. Pure.

One API carries the models of many makers, and refuses what a model does not know instead of passing over it. A name
that says nothing of its maker (an application inference profile) is helped by the quirk `vendor`.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.dialects.canon import Target
from providers.dialects.claude import Accepts, accepts, unnamed

#: The maker stands behind the region's prefix, if there is one, and at the end of an ARN.
_VENDOR: Final = re.compile(
    r"(?:^|[./])(?P<vendor>ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|nvidia"
    r"|openai|qwen|twelvelabs|writer|zai)\.(?P<model>.+)$"
)
#: Makers whose models take a schema for the text of their answers.
_OPEN_WEIGHTS: Final = frozenset({"deepseek", "google", "minimax", "moonshot", "moonshotai", "nvidia", "openai"}) | {
    "mistral",
    "qwen",
    "zai",
}
#: Makers whose models cannot be made to call a tool.
_CANNOT_FORCE: Final = frozenset({"ai21", "cohere", "deepseek", "meta", "writer"})


class Model(msgspec.Struct, frozen=True):
    """A model by its maker. `claude`: what it accepts, if it is one."""

    vendor: str
    name: str
    claude: Accepts | None = None

    @property
    def is_claude(self) -> bool:
        return self.claude is not None

    @property
    def is_nova(self) -> bool:
        return self.vendor == "amazon" and "nova" in self.name

    @property
    def adapts(self) -> bool:
        """It thinks as much as it likes, by an effort in words instead of a budget."""
        return self.claude is not None and self.claude.adaptive

    @property
    def refuses_sampling(self) -> bool:
        return self.claude is not None and not self.claude.sampling

    @property
    def thinks_by_budget(self) -> bool:
        return self.claude is not None and self.claude.budgets and not self.claude.adaptive

    @property
    def takes_schema(self) -> bool:
        """The text of its answer can be held to a JSON schema, and the arguments of its tool calls too."""
        if self.claude is not None:
            return self.claude.schemas
        return self.vendor in _OPEN_WEIGHTS and "deepseek.r1" not in f"{self.vendor}.{self.name}"

    @property
    def can_be_forced(self) -> bool:
        """It can be made to call some tool."""
        if self.claude is not None:
            return self.claude.forcing != "never"
        return self.vendor not in _CANNOT_FORCE and "titan" not in self.name

    @property
    def thinks_when_forced(self) -> bool:
        """It may think before a call that it must make."""
        return self.claude is None or self.claude.forcing != "unthinking"

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
    if vendor != "anthropic":
        return Model(vendor, rest)
    return Model(vendor, rest, accepts(rest) if "claude" in rest else unnamed())
