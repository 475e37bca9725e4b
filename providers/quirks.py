"""What a route or provider changes in requests: switches of the catalog and of operators. Pure.

Of the upstream's body, by the names of its top-level members, in this order:

    rename  = {"max_tokens": "max_completion_tokens"}   where the new name is not there too
    drop    = ["logit_bias"]
    default = {"temperature": 0.7}                      where the request has none
    force   = {"temperature": 1}                        whatever the request has
    cap     = {"max_completion_tokens": 16384}          numbers above it

Of the request's meaning, before it is written in any dialect:

    system = "You are ..."   said first; the caller's own system prompts follow it
    search = true            the model may search the web

Of where and how it is sent:

    location = "global"                        in place of the account's, in templates of Google's hosts
    signed_as = { credential = "header", credential_name = "x-api-key" }    in place of the provider's
    signed_as = "alternative"                  as the provider's `alternative_credential` says
    by_family = { anthropic-messages = { .. } }    quirks of one family alone

`providers.quirk_forms` lists them all, and refuses the forms that would change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from providers.dialects.canon import Message, Request, Text, Tool
from providers.entries import ProviderEntry

_MEANINGS: Final = ("system", "search")


class Body(Protocol):
    """The members of a request's body."""

    def member(self, name: str) -> Any:
        """The value, `UNSET` where there is none."""

    def put(self, name: str, value: Any) -> None: ...

    def leave_out(self, name: str) -> None: ...


class Members:
    """A body that is a dict."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = members

    def member(self, name: str) -> Any:
        return self.members.get(name, msgspec.UNSET)

    def put(self, name: str, value: Any) -> None:
        self.members[name] = value

    def leave_out(self, name: str) -> None:
        self.members.pop(name, None)


def of_family(quirks: dict[str, Any], route: Mapping[str, Any], family: str) -> dict[str, Any]:
    """The quirks of one place, whose family is known: what they say of that family alone comes before the rest, and
    what its route says before all.
    """
    own = _mapping(_mapping(quirks, "by_family"), family)
    return {**quirks, **own, **route} if own else quirks


def as_signed(provider: ProviderEntry, quirks: Mapping[str, Any]) -> ProviderEntry:
    """The provider as its requests are signed here."""
    said = quirks.get("signed_as")
    if said is None:
        return provider
    if said == "alternative":
        said = quirks.get("alternative_credential")
    if not isinstance(said, dict):
        return provider
    scheme, name = said.get("credential", provider.credential), said.get("credential_name", "")
    return msgspec.structs.replace(provider, credential=str(scheme), credential_name=str(name))


def shape(body: Body, quirks: Mapping[str, Any]) -> tuple[str, ...]:
    """Change the body as the quirks say; the names of members that were dropped."""
    for old, new in _mapping(quirks, "rename").items():
        value = body.member(old)
        if value is not msgspec.UNSET and isinstance(new, str):
            body.leave_out(old)
            if body.member(new) is msgspec.UNSET:
                body.put(new, value)
    dropped = []
    listed = quirks.get("drop")
    for name in listed if isinstance(listed, list) else ():
        if isinstance(name, str) and body.member(name) is not msgspec.UNSET:
            body.leave_out(name)
            dropped.append(name)
    for name, value in _mapping(quirks, "default").items():
        if body.member(name) in (msgspec.UNSET, None):
            body.put(name, value)
    for name, value in _mapping(quirks, "force").items():
        body.put(name, value)
    for name, most in _mapping(quirks, "cap").items():
        value = body.member(name)
        if _is_number(value) and _is_number(most) and value > most:
            body.put(name, most)
    return tuple(dropped)


def shapes(quirks: Mapping[str, Any]) -> bool:
    """Whether `shape` has anything to do."""
    return not quirks.keys().isdisjoint(("rename", "drop", "default", "force", "cap"))


def changes_meaning(quirks: Mapping[str, Any]) -> bool:
    """Whether a request must be read before it is sent, also to an upstream of its own dialect."""
    return any(quirks.get(name) for name in _MEANINGS)


def meant(request: Request, quirks: Mapping[str, Any]) -> Request:
    """The request as the route wants it understood."""
    prompt = quirks.get("system")
    if isinstance(prompt, str) and prompt:
        request = msgspec.structs.replace(request, messages=_with_persona(request.messages, prompt))
    if quirks.get("search") is True and not any(tool.kind == "web_search" for tool in request.tools):
        request = msgspec.structs.replace(request, tools=(*request.tools, Tool("web_search", name="web_search")))
    return request


def _with_persona(messages: tuple[Message, ...], prompt: str) -> tuple[Message, ...]:
    """The prompt and the caller's own system prompts in one message, a blank line between two (C-34)."""
    texts = [prompt]
    others = []
    for message in messages:
        if message.role in ("system", "developer"):
            texts += [part.text for part in message.parts if isinstance(part, Text)]
        else:
            others.append(message)
    return (Message("system", (Text("\n\n".join(texts)),)), *others)


def _mapping(quirks: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = quirks.get(name)
    return found if isinstance(found, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
