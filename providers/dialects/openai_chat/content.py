"""The parts of a message as they are written for an upstream. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Final

from providers.dialects.canon import Cache, Media, Opaque, Part, Refusal, Text
from providers.dialects.openai_chat.aim import Aim
from providers.dialects.openai_chat.words import NAME

_SOUNDS: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/x-m4a": "m4a",
    "audio/mp4": "m4a",
}
_IMAGE: Final = "image/png"
_DOCUMENT: Final = "application/pdf"


def write_content(parts: Iterable[Part], aim: Aim, param: str) -> list[dict[str, Any]]:
    """The content parts of a user's message. Raises Misfit for what must not be left out."""
    written: list[dict[str, Any]] = []
    for part in parts:
        found = _written(part, aim, param)
        if found is not None:
            written.append(mark(found, getattr(part, "cache", None), aim))
    return written


def _written(part: Part, aim: Aim, param: str) -> dict[str, Any] | None:
    match part:
        case Text(text) | Refusal(text):
            if getattr(part, "citations", ()):
                aim.drop("citations")
            return {"type": "text", "text": text}
        case Media():
            return write_media(part, aim, param)
        case Opaque(dialect, value):
            if dialect == NAME:
                return dict(value)
            aim.drop(f"opaque:{value.get('type', dialect)}")
        case _:
            aim.drop("thinking")
    return None


def only_texts(parts: list[dict[str, Any]], glue: str | None) -> str | list[dict[str, Any]]:
    """Parts as the plain string that every copy of OpenAI understands, where they are nothing but text.

    `glue` joins several; None leaves several as they are.
    """
    if all(part.get("type") == "text" and len(part) == 2 for part in parts) and (len(parts) < 2 or glue is not None):
        return (glue or "").join(part["text"] for part in parts)
    return parts


def mark(written: dict[str, Any], cache: Cache | None, aim: Aim) -> dict[str, Any]:
    """The part or tool with its cache mark, where such marks are taken."""
    if cache is None:
        return written
    style = aim.cache_marks
    if style == "cache_control":
        ttl = {"ttl": cache.ttl} if cache.ttl else {}
        return {**written, "cache_control": {"type": "ephemeral", **ttl}}
    if style == "prompt_cache_breakpoint" and "function" not in written:
        longer = {"ttl": "12h"} if cache.ttl == "1h" else {}
        return {**written, "prompt_cache_breakpoint": {"mode": "explicit", **longer}}
    aim.drop("cache_control")
    return written


def write_media(media: Media, aim: Aim, param: str) -> dict[str, Any]:
    """An image, a sound, a film or a document. Raises Misfit."""
    match media.kind:
        case "image":
            return _image(media, aim, param)
        case "audio":
            return _sound(media, aim, param)
        case "video":
            return _film(media, aim, param)
        case _:
            return _document(media, aim, param)


def _image(media: Media, aim: Aim, param: str) -> dict[str, Any]:
    if media.file_id:
        raise aim.cannot("an image by `file_id`", "send its data or its URL", param)
    detail = {"detail": media.detail} if media.detail else {}
    return {"type": "image_url", "image_url": {"url": _address(media, _IMAGE), **detail}}


def _sound(media: Media, aim: Aim, param: str) -> dict[str, Any]:
    if media.data:
        kind = media.media_type.partition(";")[0].lower()
        format_ = _SOUNDS.get(kind) or kind.partition("/")[2] or "wav"
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": format_}}
    if media.url and aim.accepts("audio_url"):
        return {"type": "audio_url", "audio_url": {"url": media.url}}
    raise aim.cannot("audio by its URL or `file_id`", "send its data", param)


def _film(media: Media, aim: Aim, param: str) -> dict[str, Any]:
    if media.file_id or not aim.accepts("video_url"):
        raise aim.cannot("video", "send images", param)
    return {"type": "video_url", "video_url": {"url": _address(media, "video/mp4")}}


def _document(media: Media, aim: Aim, param: str) -> dict[str, Any]:
    text = media.text or _plain(media)
    if text:
        return {"type": "text", "text": f"{media.name}\n\n{text}" if media.name else text}
    if aim.own and media.extras.get("type") == "document_url":
        name = {"document_name": media.name} if media.name else {}
        return {"type": "document_url", "document_url": _address(media, _DOCUMENT), **name}
    file: dict[str, Any] = {}
    if media.file_id:
        if not aim.kin:
            raise aim.cannot("a file that was uploaded elsewhere", "send its data", param)
        file["file_id"] = media.file_id
    elif media.url and not aim.accepts("file_url"):
        raise aim.cannot("a document by its URL", "send its data", param)
    elif media.data and not media.media_type and aim.own:
        file["file_data"] = media.data
    else:
        file["file_data"] = _address(media, _DOCUMENT)
    if media.name or not (media.file_id or aim.own):
        file["filename"] = media.name or "document." + (media.media_type or _DOCUMENT).rpartition("/")[2]
    return {"type": "file", "file": file}


def _plain(media: Media) -> str:
    """The words of a document that is nothing but text, which OpenAI takes only as text."""
    if media.data and media.media_type.startswith("text/"):
        try:
            return base64.b64decode(media.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _address(media: Media, otherwise: str) -> str:
    return media.url or f"data:{media.media_type or otherwise};base64,{media.data}"
