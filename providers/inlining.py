"""What is given by its URL and must go to an upstream as bytes, because its API does not read the URL itself. Pure.

Which API takes what is said by its family (`providers.families.Inline`), and by the quirk `inline` of a route or
provider: a list of kinds, "image" and "document". Only what can be fetched counts: images and PDFs at http(s) URLs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from providers.dialects.canon import Media, Part, Request, ToolResult
from providers.dialects.media_types import PDF, type_by_ending
from providers.families import Inline

_FETCHED: Final = frozenset(("image", "document"))
_replace = msgspec.structs.replace


class File(msgspec.Struct, frozen=True):
    """What was at a URL: `data` in base64."""

    kind: Literal["image", "document"]
    media_type: str
    data: str

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data) // 4 * 3 - self.data[-2:].count("=")

    def is_what(self, media: Media) -> bool:
        """Whether it may stand for this: a document whose type was not said may be an image as well."""
        return self.kind == media.kind or (media.kind == "document" and media.media_type != PDF)


def wanted(request: Request, inline: Inline, model: str, quirks: Mapping[str, Any]) -> tuple[Media, ...]:
    """What of the request this API must be given as bytes, in its order."""
    if not inline.kinds and "inline" not in quirks:
        return ()
    given: list[Media] = []
    for message in request.messages:  # of every request that is translated: plain loops, and mostly past texts
        for part in message.parts:
            kind = type(part)
            if kind is Media:
                given.append(part)  # type: ignore[arg-type]  # told by its type
            elif kind is ToolResult:
                given += [one for one in part.parts if type(one) is Media]  # type: ignore[union-attr]  # the same
    return tuple(media for media in given if media.url and _is_wanted(media, inline, model, quirks))


def with_files(request: Request, files: Mapping[str, File]) -> Request:
    """The request with these files in place of their URLs."""
    return _replace(
        request,
        messages=tuple(
            _replace(message, parts=tuple(_with_files(part, files) for part in message.parts))
            for message in request.messages
        ),
    )


def brought_in(request: Request, files: Mapping[str, File]) -> int:
    """Bytes that the request holds of these files, which it may show more than once."""
    shown = (part for message in request.messages for part in _media(message.parts))
    return sum(files[media.url].size for media in shown if media.url in files)


def _media(parts: Iterable[Part]) -> Iterator[Media]:
    for part in parts:
        if isinstance(part, Media):
            yield part
        elif isinstance(part, ToolResult):
            yield from _media(part.parts)


def _with_files(part: Part, files: Mapping[str, File]) -> Part:
    if isinstance(part, ToolResult):
        return _replace(part, parts=tuple(_with_files(inner, files) for inner in part.parts))
    file = files.get(part.url) if isinstance(part, Media) else None
    if file is None:
        return part
    return _replace(part, kind=file.kind, url="", data=file.data, media_type=file.media_type)


def _is_wanted(media: Media, inline: Inline, model: str, quirks: Mapping[str, Any]) -> bool:
    scheme = media.url.partition("://")[0].lower()
    media_type = media.media_type.partition(";")[0].strip().lower() or type_by_ending(media.url)
    if media.kind not in _FETCHED or scheme not in ("http", "https"):
        return False
    if media_type and not media_type.startswith("image/") and media_type != PDF:
        return False
    if media.kind in _listed(quirks, "inline"):
        return True
    if media.kind == "document" and "file_url" in _listed(quirks, "accepts"):
        return False
    return inline.needs(media.kind, scheme, media_type, model)


def _listed(quirks: Mapping[str, Any], name: str) -> list[Any] | tuple[Any, ...]:
    found = quirks.get(name)
    return found if isinstance(found, list | tuple) else ()
