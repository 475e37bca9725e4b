"""The parts of a message's content as clients and upstreams send them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from providers.dialects.canon import Cache, Citation, Media, Misfit, Opaque, Part, Refusal, Text, Thinking
from providers.dialects.openai_chat.words import NAME

_BASE64: Final = ";base64,"


def read_content(content: Any, where: str) -> list[Part]:
    """The parts of a message's `content`: text, a list of parts, or nothing. Raises Misfit."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)] if content else []
    if not isinstance(content, list):
        raise Misfit(f"`{where}` must be a string or a list of content parts.", where)
    return [_part(part, f"{where}[{at}]") for at, part in enumerate(content)]


def _part(part: Any, where: str) -> Part:
    if isinstance(part, str):
        return Text(part)
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise Misfit(f"`{where}` must be an object with a `type`, such as `text` or `image_url`.", where)
    read = _READERS.get(kind)
    return read(part, where) if read is not None else Opaque(NAME, part)


def _text(part: dict[str, Any], where: str) -> Part:
    return Text(string(part, "text", where), cache=read_cache(part))


def _refusal(part: dict[str, Any], where: str) -> Part:
    return Refusal(string(part, "refusal", where))


def _thinking(part: dict[str, Any], _: str) -> Part:
    """Mistral's: a list of text parts, or text."""
    return Thinking(thinking_text(part))


def thinking_text(part: dict[str, Any]) -> str:
    """The words of a part of type `thinking`."""
    thought = part.get("thinking")
    if isinstance(thought, str):
        return thought
    pieces = [piece.get("text") for piece in thought if isinstance(piece, dict)] if isinstance(thought, list) else []
    return "".join(piece for piece in pieces if isinstance(piece, str))


def _image(part: dict[str, Any], where: str) -> Part:
    url, detail = _address(part, "image_url", where)
    return _at(url, "image", detail=detail, cache=read_cache(part))


def _video(part: dict[str, Any], where: str) -> Part:
    return _at(_address(part, "video_url", where)[0], "video", cache=read_cache(part))


def _audio_url(part: dict[str, Any], where: str) -> Part:
    return _at(_address(part, "audio_url", where)[0], "audio", cache=read_cache(part))


def _document_url(part: dict[str, Any], where: str) -> Part:
    """Mistral's."""
    name = part.get("document_name")
    url, _ = _address(part, "document_url", where)
    found = _at(url, "document", name=name if isinstance(name, str) else "", cache=read_cache(part))
    return msgspec.structs.replace(found, extras={"type": "document_url"})


def _audio(part: dict[str, Any], where: str) -> Part:
    sound = part.get("input_audio")
    if not isinstance(sound, dict):
        raise Misfit(f"`{where}.input_audio` must be an object with `data` and `format`.", f"{where}.input_audio")
    said = string(sound, "format", f"{where}.input_audio") if "format" in sound else ""
    media_type = {"": "", "mp3": "audio/mpeg"}.get(said, f"audio/{said}")
    data = string(sound, "data", f"{where}.input_audio")
    found = _at(data, "audio") if data.startswith("data:") else Media("audio", data=data)
    return msgspec.structs.replace(found, media_type=media_type or found.media_type, cache=read_cache(part))


def _file(part: dict[str, Any], where: str) -> Part:
    file = part.get("file")
    if not isinstance(file, dict):
        raise Misfit(f"`{where}.file` must be an object with `file_data` or `file_id`.", f"{where}.file")
    name, where = file.get("filename"), f"{where}.file"
    called, cache = name if isinstance(name, str) else "", read_cache(part)
    if file.get("file_id") is not None:
        return Media("document", file_id=string(file, "file_id", where), name=called, cache=cache)
    data = string(file, "file_data", where)
    if data.startswith(("data:", "http://", "https://")):
        return _at(data, "document", name=called, cache=cache)
    return Media("document", data=data, name=called, cache=cache)


def _at(url: str, kind: Any, **more: Any) -> Media:
    """What a URL points to; a data: URL is the thing itself."""
    head, found, data = url.partition(_BASE64)
    if found and head.startswith("data:"):
        return Media(kind, data=data, media_type=head[5:].partition(";")[0], **more)
    return Media(kind, url=url, **more)


def image_of(entry: Any) -> Media | None:
    """An image in an answer (OpenRouter's `images`)."""
    url = entry.get("image_url") if isinstance(entry, dict) else None
    url = url.get("url") if isinstance(url, dict) else url
    return _at(url, "image") if isinstance(url, str) and url else None


def _address(part: dict[str, Any], name: str, where: str) -> tuple[str, str]:
    """(URL, detail) of `{"url": ...}`, or of the bare URL that some take in its place."""
    value, where = part.get(name), f"{where}.{name}"
    if isinstance(value, str):
        return value, ""
    if not isinstance(value, dict):
        raise Misfit(f"`{where}` must be an object with a `url`.", where)
    detail = value.get("detail")
    return string(value, "url", where), detail if isinstance(detail, str) else ""


def read_cache(source: dict[str, Any]) -> Cache | None:
    """Anthropic's mark as OpenRouter takes it, or OpenAI's own."""
    mark = source.get("cache_control")
    if isinstance(mark, dict):
        ttl = mark.get("ttl")
        return Cache(ttl if isinstance(ttl, str) else "")
    mark = source.get("prompt_cache_breakpoint")
    return Cache("1h" if mark.get("ttl") == "12h" else "") if isinstance(mark, dict) else None


def read_annotations(entries: Any) -> tuple[list[Citation], list[Opaque]]:
    """(citations, annotations of other kinds) of an assistant's message."""
    citations: list[Citation] = []
    others: list[Opaque] = []
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        entry = {name: value for name, value in entry.items() if name != "index"}  # noqa: PLW2901  # a stream's
        cited = entry.get("url_citation")
        if isinstance(cited, dict):
            citations.append(
                Citation(
                    url=_or_empty(cited.get("url")),
                    title=_or_empty(cited.get("title")),
                    quote=_or_empty(cited.get("content")),
                    start=_or_none(cited.get("start_index")),
                    end=_or_none(cited.get("end_index")),
                    dialect=NAME,
                    value=entry,
                )
            )
        else:
            others.append(Opaque(NAME, entry))
    return citations, others


def read_sources(answer: dict[str, Any]) -> list[Citation]:
    """What Perplexity and xAI say beside the answer: what it rests on, not which words rest on it."""
    results = answer.get("search_results")
    found = [
        Citation(url=url, title=_or_empty(result.get("title")), quote=_or_empty(result.get("snippet")))
        for result in (results if isinstance(results, list) else ())
        if isinstance(result, dict) and (url := _or_empty(result.get("url")))
    ]
    if found:
        return found
    urls = answer.get("citations")
    return [Citation(url=url) for url in (urls if isinstance(urls, list) else ()) if isinstance(url, str) and url]


def string(source: dict[str, Any], name: str, where: str) -> str:
    """A member that must be a string. Raises Misfit."""
    value = source.get(name)
    if not isinstance(value, str):
        raise Misfit(f"`{where}.{name}` must be a string.", f"{where}.{name}")
    return value


def _or_empty(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _or_none(value: Any) -> int | None:
    return value if type(value) is int else None


_READERS: Final[dict[str, Callable[[dict[str, Any], str], Part]]] = {
    "text": _text,
    "refusal": _refusal,
    "thinking": _thinking,
    "image_url": _image,
    "video_url": _video,
    "audio_url": _audio_url,
    "document_url": _document_url,
    "input_audio": _audio,
    "file": _file,
}
