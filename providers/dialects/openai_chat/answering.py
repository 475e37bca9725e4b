"""A whole answer as clients of this dialect read it. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Answer,
    Choice,
    Citation,
    Media,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.openai_chat.thoughts import signed_details, texts_of
from providers.dialects.openai_chat.words import NAME, own_id, usage_words, word_of
from providers.dialects.signatures import framed

_encode: Final = msgspec.json.Encoder().encode


def write_answer(answer: Answer, public_model: str, request: Request) -> bytes:
    """The completion, under the public model's name."""
    own = answer.dialect == NAME
    written: dict[str, Any] = {
        "id": own_id(answer.id, answer.dialect, "chatcmpl-"),
        "object": "chat.completion",
        "created": answer.created,
        "model": public_model,
        "choices": [_choice(choice, request, own) for choice in answer.choices],
    }
    if answer.usage is not None:
        written["usage"] = usage_words(answer.usage)
    if answer.service_tier:
        written["service_tier"] = answer.service_tier
    if own:
        written = {**answer.extras, **written}
    return _encode(written)


def wants_thoughts(request: Request) -> bool:
    """Whether the client is to see what the model thought."""
    return request.reasoning is None or request.reasoning.show is not False


def is_legacy(request: Request) -> bool:
    """Whether the client knows `function_call` and not `tool_calls`."""
    return request.notes.get("functions") is True


def finish(choice: Choice, own: bool, legacy: bool) -> str:
    """Why the choice ended, in this dialect's words."""
    if own and choice.word:
        return choice.word
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    word = word_of(choice.stop, called=called, refused=refused)
    return "function_call" if legacy and word == "tool_calls" else word


def _choice(choice: Choice, request: Request, own: bool) -> dict[str, Any]:
    legacy = is_legacy(request)
    logprobs = choice.logprobs
    return {
        "index": choice.index,
        "message": _message(choice.parts, legacy, wants_thoughts(request)),
        "logprobs": {"content": None, "refusal": None, **logprobs} if logprobs is not None else None,
        "finish_reason": finish(choice, own, legacy),
    }


def _message(parts: tuple[Part, ...], legacy: bool, think: bool) -> dict[str, Any]:
    texts = [part for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    content = "".join(part.text for part in texts)
    beside = any(isinstance(part, ToolCall | Refusal | Media) for part in parts)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content if content or not beside else None,
        "refusal": "".join(refusals) or None,
    }
    thoughts = [part for part in parts if isinstance(part, Thinking)] if think else []
    if thoughts:
        message |= {"reasoning_content": text} if (text := texts_of(thoughts)) else {}
        message["reasoning_details"] = [entry for at, each in enumerate(thoughts) for entry in signed_details(each, at)]
    annotations = _annotations(parts)
    if annotations:
        message["annotations"] = annotations
    for part in parts:
        if isinstance(part, Media):
            _show(part, message)
    _call([part for part in parts if isinstance(part, ToolCall)], message, legacy)
    signed = next((part for part in texts if part.signature), None)
    if signed is not None:
        message["extra_content"] = google(signed.signature, signed.signer)
    return message


def _annotations(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    said = 0
    for part in parts:
        if isinstance(part, Text):
            found += [
                entry
                for citation in part.citations
                if (entry := annotation(citation, said, len(part.text))) is not None
            ]
            said += len(part.text)
        elif isinstance(part, Opaque) and part.dialect == NAME:
            found.append(part.value)
    return found


def annotation(citation: Citation, start: int, length: int) -> dict[str, Any] | None:
    """A citation of a text that begins at `start` of the message; None if it names no page."""
    if citation.dialect == NAME and citation.value is not None and not start:
        return citation.value
    if not citation.url:
        return None
    begins = start + (citation.start or 0)
    ends = start + (length if citation.end is None else citation.end)
    cited = {"url": citation.url, "title": citation.title, "start_index": begins, "end_index": ends}
    return {
        "type": "url_citation",
        "url_citation": {**cited, **({"content": citation.quote} if citation.quote else {})},
    }


def image(media: Media) -> dict[str, Any] | None:
    """An image, as OpenRouter puts it beside the content."""
    if media.kind != "image" or not (media.url or media.data):
        return None
    url = media.url or f"data:{media.media_type or 'image/png'};base64,{media.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def sound(media: Media) -> dict[str, Any] | None:
    """What was said aloud."""
    if media.kind != "audio" or not media.data:
        return None
    known, until = media.extras.get("id") or "audio_0", media.extras.get("expires_at") or 0
    return {"id": known, "data": media.data, "expires_at": until, "transcript": media.text}


def _show(media: Media, message: dict[str, Any]) -> None:
    shown, heard = image(media), sound(media)
    if shown is not None:
        message.setdefault("images", []).append(shown)
    if heard is not None:
        message["audio"] = heard


def _call(calls: list[ToolCall], message: dict[str, Any], legacy: bool) -> None:
    if calls and legacy:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        message["tool_calls"] = [_called(call) for call in calls]


def _called(call: ToolCall) -> dict[str, Any]:
    kind = "custom" if call.free else "function"
    body = {"name": call.name, "input" if call.free else "arguments": call.arguments}
    proof = {"extra_content": google(call.signature, call.signer)} if call.signature else {}
    return {"id": call.id, "type": kind, kind: body, **proof}


def google(signature: str, signer: str) -> dict[str, Any]:
    """A signature where Google's endpoint of this dialect has it; clients that know it send it back."""
    return {"google": {"thought_signature": framed(signature, signer, NAME)}}
