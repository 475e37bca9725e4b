"""Images and documents, said as blocks of a request; what this API cannot carry is refused. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from providers.dialects.anthropic_messages.saying import mark
from providers.dialects.canon import Media, Misfit
from providers.dialects.media_types import PDF, type_of_base64

_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_TEXTUAL: Final = ("application/json", "application/xml", "application/x-yaml", "application/yaml")


def media_block(media: Media, own: bool) -> dict[str, Any]:
    """The block. `own`: the request was said in this dialect, so that its files are this API's. Raises canon.Misfit."""
    if media.kind not in ("image", "document"):
        raise _unsupported(f"The model does not take {media.kind} input; send text, images or documents.")
    if own and "search_result" in media.extras:
        return dict(media.extras["search_result"])
    extras = {name: value for name, value in media.extras.items() if name != "source"} if own else {}
    block: dict[str, Any] = {"type": media.kind, "source": _source(media, own), **extras, **mark(media.cache)}
    if media.name and media.kind == "document":
        block["title"] = media.name
    return block


def _source(media: Media, own: bool) -> dict[str, Any]:
    if own and "source" in media.extras:
        return dict(media.extras["source"])
    if media.data:
        return _image(media) if media.kind == "image" else _document(media)
    if media.url.startswith("data:"):
        raise _unsupported("A data URL must hold base64: data:<type>;base64,<data>.")
    if media.url:
        return {"type": "url", "url": media.url}
    if media.file_id:
        if not own:
            raise _unsupported("A file that was uploaded elsewhere cannot be passed on; send its contents.")
        return {"type": "file", "file_id": media.file_id}
    if media.kind == "document":
        return {"type": "text", "media_type": "text/plain", "data": media.text}
    raise _unsupported("The image is empty; send a URL or its data.")


def _image(media: Media) -> dict[str, Any]:
    # The API compares the type with the data, which clients of others seldom have to get right.
    kind = type_of_base64(media.data) or media.media_type.lower().replace("image/jpg", "image/jpeg")
    if kind not in _IMAGES:
        raise _unsupported("The model takes images as JPEG, PNG, GIF or WebP only.")
    return {"type": "base64", "media_type": kind, "data": media.data}


def _document(media: Media) -> dict[str, Any]:
    kind = media.media_type.lower().partition(";")[0].strip()
    if kind == PDF or (not kind and type_of_base64(media.data) == PDF):
        return {"type": "base64", "media_type": PDF, "data": media.data}
    if kind.startswith("text/") or kind in _TEXTUAL:
        return {"type": "text", "media_type": "text/plain", "data": _decoded(media.data)}
    raise _unsupported("The model takes documents as PDF or plain text only.")


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise Misfit("The document's data is not base64 of UTF-8 text.", "messages") from error


def _unsupported(message: str) -> Misfit:
    return Misfit(message, "messages", unsupported=True)
