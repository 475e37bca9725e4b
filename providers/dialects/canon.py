"""The hub: what a conversation, an answer and a stream mean, whatever dialect they were said in. Pure.

A dialect reads its wire into these and writes its wire from them; no dialect knows another. What only one dialect can
say is kept as it was (`Opaque`, `extras`), goes back out in that dialect, and is named as dropped in every other.
Text is text, JSON values are Python's. Tool arguments stay the JSON text that the model wrote.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from providers.dialects.usage import Usage


class Cache(msgspec.Struct, frozen=True):
    """A mark that everything up to here may be cached. `ttl` as Anthropic says it ("5m", "1h"), or empty."""

    ttl: str = ""


class Citation(msgspec.Struct, frozen=True):
    """Where a piece of an answer comes from. `start` and `end` are characters of the text that cites, if known.
    `value` is the citation as `dialect` said it, for going back out in it unchanged.
    """

    url: str = ""
    title: str = ""
    quote: str = ""
    start: int | None = None
    end: int | None = None
    dialect: str = ""
    value: dict[str, Any] | None = None


# --- parts of a message ----------------------------------------------------------------------------------------------


class Text(msgspec.Struct, frozen=True, tag=True):
    """Words. `signature`: Google's thought signature on a text part, made by `signer`."""

    text: str
    citations: tuple[Citation, ...] = ()
    cache: Cache | None = None
    signature: str = ""
    signer: str = ""


class Media(msgspec.Struct, frozen=True, tag=True):
    """An image, a sound, a film or a document: exactly one of `url`, `data` (base64, no data: prefix) and `file_id`.

    `media_type` is a MIME type ("image/png", "application/pdf", "audio/wav"), empty if unknown. `detail`: OpenAI's
    for images. `text`: a transcript (of sound) or the text of a plain-text document, in place of `data`.
    """

    kind: Literal["image", "audio", "video", "document"]
    url: str = ""
    data: str = ""
    file_id: str = ""
    media_type: str = ""
    name: str = ""
    detail: str = ""
    text: str = ""
    cache: Cache | None = None
    #: members known to one dialect (`title`, `context`, `citations` at Anthropic, `videoMetadata` at Google ...)
    extras: dict[str, Any] = {}


class Thinking(msgspec.Struct, frozen=True, tag=True):
    """What the model thought. `signature` is opaque proof or the encrypted thought itself, which only the dialect
    `signer` understands; `redacted`: there is nothing but the signature. `id`: that of an item of the Responses API.
    """

    text: str = ""
    signature: str = ""
    signer: str = ""
    redacted: bool = False
    id: str = ""
    #: the text is a summary (Responses) and not the thought itself
    summary: bool = False


class ToolCall(msgspec.Struct, frozen=True, tag=True):
    """The model wants a tool of the client's. `arguments` is JSON text ("{}" if none), or free text if `free`."""

    id: str
    name: str
    arguments: str = "{}"
    free: bool = False
    signature: str = ""
    signer: str = ""
    cache: Cache | None = None
    #: id of the item in the Responses API, which is not the call's
    item_id: str = ""
    #: members known to one dialect (`caller`, `toolset_name` at Anthropic ...)
    extras: dict[str, Any] = {}


class ToolResult(msgspec.Struct, frozen=True, tag=True):
    """What the tool said. `name` is the tool's if the dialect tells (Google does not know call ids)."""

    call_id: str
    parts: tuple[Text | Media, ...] = ()
    name: str = ""
    failed: bool = False
    free: bool = False
    cache: Cache | None = None
    #: members known to one dialect; `content`, where `parts` is not all of it
    extras: dict[str, Any] = {}


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """The model says that it will not."""

    text: str


class Opaque(msgspec.Struct, frozen=True, tag=True):
    """A part that only `dialect` knows (server-side tools and their results, grounding, compaction ...), as it was."""

    dialect: str
    value: dict[str, Any]


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal | Opaque
Role = Literal["system", "developer", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True):
    """One turn. Role "tool" holds ToolResults and nothing else; a dialect that mixes them with a user's words is read
    into two messages. System messages stand where they stood.
    """

    role: Role
    parts: tuple[Part, ...] = ()
    name: str = ""
    extras: dict[str, Any] = {}
    #: how the client's dialect said it, where that is no part of what it said: for going back out in it unchanged
    notes: dict[str, Any] = {}


# --- a request -------------------------------------------------------------------------------------------------------


class Tool(msgspec.Struct, frozen=True):
    """`function`: the client's, `parameters` a JSON schema or None; `free`: the client's, takes free text;
    `web_search`: the upstream's own search, with OpenAI's words in `value`; `opaque`: any other that `dialect` knows.
    """

    kind: Literal["function", "free", "web_search", "opaque"]
    name: str = ""
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    cache: Cache | None = None
    dialect: str = ""
    value: dict[str, Any] = {}
    #: members of a function or a search that only `dialect` knows
    extras: dict[str, Any] = {}


class ToolChoice(msgspec.Struct, frozen=True):
    """`named`: exactly the tool `name`. `allowed` narrows `auto` or `required` to these names."""

    mode: Literal["auto", "none", "required", "named"]
    name: str = ""
    allowed: tuple[str, ...] = ()


class Format(msgspec.Struct, frozen=True):
    """The answer is JSON; with `schema`, of that shape."""

    schema: dict[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think. `effort` in OpenAI's words (none, minimal, low, medium, high, xhigh, max), `budget` in tokens
    (-1: as the model likes), None where the client said nothing. `show`: whether thoughts are wanted in the answer.
    `summary`: OpenAI's auto, concise, detailed. `adaptive`: Anthropic's own word for "as you like".
    """

    effort: str | None = None
    budget: int | None = None
    show: bool | None = None
    summary: str | None = None
    adaptive: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a model. None and empty: the client did not say. `extras`: members of the client's `dialect`
    that no other knows, by name.
    """

    dialect: str
    model: str = ""
    messages: tuple[Message, ...] = ()
    stream: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    format: Format | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None
    user: str = ""
    metadata: dict[str, Any] | None = None
    service_tier: str = ""
    store: bool | None = None
    cache_key: str = ""
    verbosity: str = ""
    #: what the answer may be made of: "text", "audio", "image"
    modalities: tuple[str, ...] = ()
    #: OpenAI's `audio` (voice, format)
    audio: dict[str, Any] | None = None
    extras: dict[str, Any] = {}
    #: as a message's: nothing of it is lost where another dialect does not say it
    notes: dict[str, Any] = {}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a request is written for. `max_output`: the model's limit if known. `quirks`: the route's and provider's."""

    model: str
    stream: bool = False
    family: str = ""
    max_output: int | None = None
    reasons: bool | None = None
    quirks: dict[str, Any] = {}


class Written(msgspec.Struct, frozen=True):
    """A request in a dialect. `dropped` names what could not be said and does no harm, in the client's words."""

    body: dict[str, Any]
    dropped: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


# --- an answer -------------------------------------------------------------------------------------------------------

#: `filter`: the provider withheld it; `refusal`: the model declined; `pause`: to be continued (Anthropic's pause_turn);
#: empty: not said.
Stop = Literal["", "end", "length", "tool", "filter", "sequence", "refusal", "pause", "error"]


class Choice(msgspec.Struct, frozen=True):
    """One of the answers asked for. `word`: the upstream's own for why it stopped. `logprobs` as OpenAI says them."""

    parts: tuple[Part, ...] = ()
    stop: Stop = ""
    index: int = 0
    word: str = ""
    sequence: str = ""
    logprobs: dict[str, Any] | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. `created` in epoch seconds, 0 if not said. `extras`: members only `dialect` knows."""

    dialect: str = ""
    id: str = ""
    model: str = ""
    created: int = 0
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    service_tier: str = ""
    extras: dict[str, Any] = {}


# --- a stream: the same answer in pieces -----------------------------------------------------------------------------


class Began(msgspec.Struct, frozen=True, tag=True):
    """The answer begins. Comes first, once."""

    id: str = ""
    model: str = ""
    created: int = 0
    service_tier: str = ""
    dialect: str = ""


class PartBegan(msgspec.Struct, frozen=True, tag=True):
    """A part of a choice begins, with what is known of it: `Text("")`, `ToolCall(id, name, "")`, ... An Opaque or a
    Media comes whole. `index` counts the parts of the choice from 0; parts may be open side by side.
    """

    index: int
    part: Part
    choice: int = 0


class Grew(msgspec.Struct, frozen=True, tag=True):
    """More of an open part: of its text, thought, refusal or arguments."""

    index: int
    text: str
    choice: int = 0


class Signed(msgspec.Struct, frozen=True, tag=True):
    """The signature of an open part (the whole of it)."""

    index: int
    signature: str
    signer: str
    choice: int = 0


class Cited(msgspec.Struct, frozen=True, tag=True):
    """A citation for an open text."""

    index: int
    citation: Citation
    choice: int = 0


class PartEnded(msgspec.Struct, frozen=True, tag=True):
    """An open part is whole. Every part ends before its choice stops."""

    index: int
    choice: int = 0


class Logprobs(msgspec.Struct, frozen=True, tag=True):
    """Log probabilities of what a choice said since the last such event, as OpenAI says them."""

    value: dict[str, Any]
    choice: int = 0


class Stopped(msgspec.Struct, frozen=True, tag=True):
    """A choice is over."""

    stop: Stop
    choice: int = 0
    word: str = ""
    sequence: str = ""


class Counted(msgspec.Struct, frozen=True, tag=True):
    """The usage so far; the last one counts."""

    usage: Usage


class Served(msgspec.Struct, frozen=True, tag=True):
    """The service tier, where it is told or corrected after the beginning; the last one counts."""

    tier: str


class Noted(msgspec.Struct, frozen=True, tag=True):
    """Members of the answer that only its dialect knows (`Answer.extras`)."""

    extras: dict[str, Any]


Delta = Began | PartBegan | Grew | Signed | Cited | PartEnded | Logprobs | Stopped | Counted | Served | Noted


class Misfit(ValueError):
    """A request that cannot be read, or that the target cannot be asked. `param` names the member at fault.
    `unsupported`: it is sound, but what it asks for cannot be said to the target and must not be left out.
    """

    def __init__(self, message: str, param: str = "", *, unsupported: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.unsupported = unsupported


class BadAnswer(ValueError):
    """An upstream's answer or event that is not what its dialect promises.
    `error`: its error object, where the answer came whole and says that it failed.
    """

    def __init__(self, message: str = "", error: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.error = error


DEFAULT_MAX_TOKENS: Final = 8192
