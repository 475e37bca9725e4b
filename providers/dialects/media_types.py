"""What kind of file something is: by the ending of its URL, or by how its bytes begin. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import Final

#: MIME type by the ending of a name.
_ENDINGS: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "mpeg": "video/mpeg",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
}
PDF: Final = "application/pdf"
#: What stands at the very beginning of those whose sign comes later.
_BEFORE: Final = {"image/webp": b"RIFF", "image/bmp": b"BM"}
#: (where, bytes that stand there, type). The brands of ISO media files follow their `ftyp` (ISO/IEC 23008-12, 10.2).
_BEGINNINGS: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (6, b"\x00\x00\x00\x00", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (0, b"%PDF-", PDF),
)


def type_by_ending(url: str) -> str:
    """The type that a URL's ending tells, or none."""
    path = url.partition("?")[0].partition("#")[0]
    _, dot, ending = path.rpartition("/")[2].rpartition(".")
    return _ENDINGS.get(ending.lower(), "") if dot else ""


def type_by_content(data: bytes) -> str:
    """The type of an image or a PDF, which its first bytes tell; empty for anything else."""
    for at, begins, media_type in _BEGINNINGS:
        if data.startswith(begins, at) and data.startswith(_BEFORE.get(media_type, b"")):
            return media_type
    return ""


def type_of_base64(data: str) -> str:
    """The same of base64, whose beginning is enough."""
    try:
        return type_by_content(base64.b64decode(data[:24] + "=="))
    except (binascii.Error, ValueError):
        return ""
