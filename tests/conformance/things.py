"""Images, documents and sounds that scenarios show, by the key under which a meaning names them."""

from __future__ import annotations

import base64
from typing import NamedTuple

from conformance.meaning import media


class Source(NamedTuple):
    """Where a thing is: in base64, at a URL, or uploaded to the API that is spoken."""

    media_type: str
    data: str = ""
    url: str = ""
    file_id: str = ""

    @property
    def address(self) -> str:
        return self.url or f"data:{self.media_type};base64,{self.data}"


_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
_PNG2 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
_PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n").decode()
_WAV = base64.b64encode(b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" + b"\x00" * 24).decode()

IMAGE, IMAGE2, PDF, SOUND = (media(data) for data in (_PNG, _PNG2, _PDF, _WAV))
IMAGE_URL = "https://pictures.example/cat.png"
PDF_URL = "https://papers.example/paper.pdf"
IMAGE_FILE, PDF_FILE = "file:image", "file:pdf"

SOURCES = {
    IMAGE: Source("image/png", data=_PNG),
    IMAGE2: Source("image/png", data=_PNG2),
    PDF: Source("application/pdf", data=_PDF),
    SOUND: Source("audio/wav", data=_WAV),
    IMAGE_URL: Source("image/png", url=IMAGE_URL),
    PDF_URL: Source("application/pdf", url=PDF_URL),
    IMAGE_FILE: Source("image/png", file_id="file-image0001"),
    PDF_FILE: Source("application/pdf", file_id="file-pdf0001"),
}
_BY_FILE = {source.file_id: key for key, source in SOURCES.items() if source.file_id}
GOOGLE_FILES = "https://generativelanguage.googleapis.com/v1beta/files/"


def by_address(address: str) -> str:
    """The key of a URL, be it a data: URL."""
    return media(address.partition(";base64,")[2]) if address.startswith("data:") else address


def by_file(file_id: str) -> str:
    """The key of an uploaded file."""
    return _BY_FILE.get(file_id.removeprefix(GOOGLE_FILES), f"file:{file_id}")
