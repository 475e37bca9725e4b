"""The turns of a conversation as they are written for an upstream. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.dialects.canon import Media, Message, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from providers.dialects.openai_chat.aim import Aim
from providers.dialects.openai_chat.content import mark, only_texts, write_content
from providers.dialects.openai_chat.thoughts import signed_details, texts_of
from providers.dialects.openai_chat.words import NAME


def write_messages(messages: Sequence[Message], aim: Aim) -> list[dict[str, Any]]:
    """All of them, in their order. Raises Misfit for what must not be left out."""
    written: list[dict[str, Any]] = []
    #: what tools showed, which OpenAI takes from users alone
    shown: list[dict[str, Any]] = []
    for at, message in enumerate(messages):
        param = f"messages[{at}]"
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        others = tuple(part for part in message.parts if not isinstance(part, ToolResult))
        for result in results:
            written.append(_named(_result(result, aim, param, shown), message, aim))
        if message.role == "tool" and not others:
            continue
        if shown:
            written.append({"role": "user", "content": shown})
            shown = []
        written.append(_named(_turn(message, others, aim, param), message, aim))
    if shown:
        written.append({"role": "user", "content": shown})
    return written


def _turn(message: Message, parts: tuple[Part, ...], aim: Aim, param: str) -> dict[str, Any]:
    match message.role:
        case "assistant":
            return _assistant(parts, aim, param, message.notes)
        case "system" | "developer":
            role = message.role
            if role == "developer" and not aim.quirk("developer_role", aim.own or aim.openai):
                role = "system"
            return {"role": role, "content": only_texts(write_content(parts, aim, param), None if aim.own else "\n\n")}
        case _:
            return {"role": "user", "content": only_texts(write_content(parts, aim, param), None)}


def _named(written: dict[str, Any], message: Message, aim: Aim) -> dict[str, Any]:
    if message.name:
        written["name"] = message.name
    if message.extras:
        if aim.own:
            written |= message.extras
        else:
            aim.drop(*message.extras)
    return written


def _assistant(parts: tuple[Part, ...], aim: Aim, param: str, notes: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {"role": "assistant"}
    said = [part for part in parts if isinstance(part, Text)]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    content: Any = only_texts(write_content(said, aim, param), None if aim.own else "")
    theirs = notes.get("thoughts", "reasoning_content") if aim.own else "none"
    style = aim.quirk("thoughts", "reasoning_content" if aim.reasons and not (aim.own or aim.openai) else theirs)
    thoughts = _thoughts([part for part in parts if isinstance(part, Thinking)], written, aim, style)
    if thoughts:
        rest = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
        content = [*thoughts, *rest]
    for part in parts:
        _aside(part, written, aim)
    heard = "refusal" in written or "audio" in written
    content = content or written.get("content", content)
    written["content"] = content if content or not (calls or heard) else None
    if calls:
        written["tool_calls"] = [mark(_call(call, aim), call.cache, aim) for call in calls]
    signature = next((part.signature for part in said if part.signature and part.signer == NAME), "")
    if signature:
        written["extra_content"] = _google(signature)
    return written


def _aside(part: Part, written: dict[str, Any], aim: Aim) -> None:
    """What an assistant's message says beside its content."""
    match part:
        case Refusal(text):
            written["refusal"] = written.get("refusal", "") + text
        case Media(kind="audio", file_id=known) if known and aim.own:
            written["audio"] = {"id": known}
        case Media(kind="image") if aim.own and not part.file_id:
            url = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"
            written.setdefault("images", []).append({"type": "image_url", "image_url": {"url": url}})
        case Media():
            # It was the model's own, and no upstream of this dialect takes it back.
            aim.drop("file_id" if part.file_id else part.kind)
            if part.text:
                written.setdefault("content", part.text)
        case Opaque(dialect, value):
            if dialect == NAME and aim.own:
                written.setdefault("annotations", []).append(value)
            else:
                aim.drop(f"opaque:{value.get('type', dialect)}")
        case _:
            pass


def _thoughts(thoughts: list[Thinking], written: dict[str, Any], aim: Aim, style: str) -> list[dict[str, Any]]:
    """Writes the thoughts of a turn beside its content, or gives the parts of content that say them (Mistral)."""
    if not thoughts:
        return []
    own = [thought for thought in thoughts if thought.signature and thought.signer == NAME]
    if own and style != "content":
        kept = [thought for thought in thoughts if thought in own or not thought.signature]
        written["reasoning_details"] = [
            entry for at, thought in enumerate(kept) for entry in signed_details(thought, at)
        ]
        lost = len(kept) < len(thoughts)
    else:
        lost = any(not thought.text for thought in thoughts)
        text = texts_of(thoughts)
        if style == "content" and text:
            return [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]
        if style in ("reasoning_content", "reasoning") and text:
            written[style] = text
        else:
            lost = True
    if lost:
        aim.drop("thinking")
    return []


def _call(call: ToolCall, aim: Aim) -> dict[str, Any]:
    body = {"name": call.name, "input" if call.free else "arguments": call.arguments}
    kind = "custom" if call.free else "function"
    written = {"id": call.id, "type": kind, kind: body}
    aim.drop(*call.extras)
    if call.signature:
        if call.signer == NAME:
            written["extra_content"] = _google(call.signature)
        else:
            aim.drop("thinking")
    return written


def _google(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


def _result(result: ToolResult, aim: Aim, param: str, shown: list[dict[str, Any]]) -> dict[str, Any]:
    """One tool message; what it cannot hold is added to `shown`."""
    parts = write_content(result.parts, aim, param)
    aim.drop(*result.extras)
    if not aim.accepts("tool_images"):
        others = [part for part in parts if part["type"] != "text"]
        if others:
            shown += [{"type": "text", "text": f"Result of the tool call {result.call_id}:"}, *others]
            parts = [part for part in parts if part["type"] == "text"]
    if result.failed:
        parts = [{"type": "text", "text": "Error:"}, *parts]
    if result.cache is not None and parts:
        parts[-1] = mark(parts[-1], result.cache, aim)
    glue = "\n" if result.failed or not aim.own else None
    return {"role": "tool", "tool_call_id": result.call_id, "content": only_texts(parts, glue)}
