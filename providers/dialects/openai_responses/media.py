"""Contents of messages and of tool results: text, images, files and sound, both ways. Pure."""

from __future__ import annotations

import base64
from typing import Any, Final

from providers.dialects.canon import Cache, Media, Misfit, Opaque, Text
from providers.dialects.openai_responses import wire
from providers.dialects.openai_responses.items import NAME

_AUDIO: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_AUDIO_FORMATS: Final = {
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3",
}  # fmt: skip
#: What OpenAI's clients leave to the file's name.
_BY_NAME: Final = {
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html",
    "json": "application/json", "xml": "application/xml",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
_ENDINGS: Final = {media_type: ending for ending, media_type in _BY_NAME.items()}
#: The same files: OpenAI's.
_FILES_ALIKE: Final = frozenset({NAME, "openai_chat"})

_IMAGE: Final = frozenset({"type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"})
_FILE: Final = frozenset({"type", "file_data", "file_url", "file_id", "filename", "prompt_cache_breakpoint"})


def read_content(value: dict[str, Any], at: str) -> Text | Media | Opaque:
    """One content of the client's. Raises Misfit."""
    kind = wire.needed(value, "type", at)
    if kind in ("input_text", "output_text", "text"):
        return Text(wire.needed(value, "text", at), cache=_cache(value, at))
    if kind == "input_image":
        return _image(value, at)
    if kind == "input_file":
        return _file(value, at)
    if kind == "input_audio":
        return _audio(value, at)
    return Opaque(NAME, value)


def _cache(value: dict[str, Any], at: str) -> Cache | None:
    mark = wire.mapping(value, "prompt_cache_breakpoint", at)
    return None if mark is None else Cache(wire.text(mark, "ttl", wire.path(at, "prompt_cache_breakpoint")))


def _image(value: dict[str, Any], at: str) -> Media:
    url, file_id = wire.text(value, "image_url", at), wire.text(value, "file_id", at)
    if bool(url) == bool(file_id):
        raise Misfit(f"`{at}` must have either `image_url` or `file_id`.", wire.path(at, "image_url"))
    media_type, data = split_data_url(url)
    return Media(
        "image",
        url="" if data else url,
        data=data,
        file_id=file_id,
        media_type=media_type,
        detail=wire.text(value, "detail", at),
        cache=_cache(value, at),
        extras=wire.rest(value, _IMAGE),
    )


def _file(value: dict[str, Any], at: str) -> Media:
    data, url, file_id = (wire.text(value, name, at) for name in ("file_data", "file_url", "file_id"))
    if sum(map(bool, (data, url, file_id))) != 1:
        raise Misfit(f"`{at}` must have one of `file_data`, `file_url` and `file_id`.", wire.path(at, "file_data"))
    name = wire.text(value, "filename", at)
    media_type, plain = split_data_url(data)
    return Media(
        "document",
        url=url,
        data=plain or data,
        file_id=file_id,
        media_type=media_type or ("" if file_id else _BY_NAME.get(name.rpartition(".")[2].lower(), "")),
        name=name,
        cache=_cache(value, at),
        extras=wire.rest(value, _FILE),
    )


def _audio(value: dict[str, Any], at: str) -> Media:
    inner = wire.mapping(value, "input_audio", at) or {}
    where = wire.path(at, "input_audio")
    form = wire.needed(inner, "format", where)
    return Media("audio", data=wire.needed(inner, "data", where), media_type=_AUDIO.get(form, f"audio/{form}"))


def split_data_url(url: str) -> tuple[str, str]:
    """(media type, base64) of a data: URL; two empty strings if it is none."""
    if not url.startswith("data:"):
        return "", ""
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        return "", ""
    return head.partition(";")[0], data


def write_content(media: Media, dialect: str, at: str = "input") -> dict[str, Any]:
    """An image, a file or a sound as an upstream is sent it. Raises Misfit for what this API has no words for."""
    if media.file_id and dialect not in _FILES_ALIKE:
        raise Misfit("A file uploaded to another API cannot be named here: send its content.", at, unsupported=True)
    own = dialect == NAME
    out = _written(media, at)
    if own:
        out.update(media.extras)
        if media.cache is not None:
            out["prompt_cache_breakpoint"] = breakpoint_of(media.cache)
    return out


def breakpoint_of(cache: Cache) -> dict[str, Any]:
    """A mark that everything up to here may be cached."""
    return {"mode": "explicit", "ttl": cache.ttl} if cache.ttl else {"mode": "explicit"}


def _written(media: Media, at: str) -> dict[str, Any]:
    if media.kind == "image":
        out = {"type": "input_image"} | ({"detail": media.detail} if media.detail else {})
        if media.file_id:
            return out | {"file_id": media.file_id}
        return out | {"image_url": media.url or data_url(media, "image/png")}
    if media.kind == "audio" and media.data and media.media_type in _AUDIO_FORMATS:
        form = _AUDIO_FORMATS[media.media_type]
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": form}}
    if media.kind == "document":
        return _written_file(media)
    raise Misfit(f"This {media.kind} cannot be sent to this model: its API does not take it.", at, unsupported=True)


def _written_file(media: Media) -> dict[str, Any]:
    named = {"filename": media.name} if media.name else {}
    if media.file_id:
        return {"type": "input_file", **named, "file_id": media.file_id}
    if media.url:
        return {"type": "input_file", **named, "file_url": media.url}
    if not media.data:
        data = base64.b64encode(media.text.encode("utf-8", "replace")).decode()
        plain = media.media_type or "text/plain"
        name = media.name or f"document.{_ENDINGS.get(plain, 'txt')}"
        return {"type": "input_file", "filename": name, "file_data": f"data:{plain};base64,{data}"}
    name = media.name or f"document.{_ENDINGS.get(media.media_type, 'pdf')}"
    return {"type": "input_file", "filename": name, "file_data": data_url(media, "application/pdf")}


def data_url(media: Media, default: str) -> str:
    """The content as a data: URL."""
    return f"data:{media.media_type or default};base64,{media.data}"
