"""What kind of file something is, and that upstreams are told what it is and not what somebody called it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.canon import Misfit, Target
from providers.dialects.media_types import type_by_content, type_by_ending, type_of_base64
from providers.dialects.registry import CLIENTS, UPSTREAMS

BEGINNINGS = {
    "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "image/gif": b"GIF89a\x01\x00",
    "image/webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "image/bmp": b"BM\x46\x00\x00\x00\x00\x00\x00\x00",
    "image/tiff": b"II*\x00\x08\x00",
    "image/heic": b"\x00\x00\x00\x18ftypheic",
    "image/heif": b"\x00\x00\x00\x18ftypmif1",
    "image/avif": b"\x00\x00\x00\x1cftypavif",
    "application/pdf": b"%PDF-1.7\n",
}
OTHERS = (b"", b"BMW has cars", b"RIFF\x24\x00\x00\x00WAVEfmt ", b"\x00\x00\x00\x18ftypmp42", b"<svg/>", b"PK\x03\x04")


@pytest.mark.parametrize("media_type", BEGINNINGS)
def test_files_are_known_by_their_first_bytes(media_type: str) -> None:
    for rest in (b"", b"the rest", b"\x00" * 99):
        data = BEGINNINGS[media_type] + rest
        assert type_by_content(data) == type_of_base64(base64.b64encode(data).decode()) == media_type


@pytest.mark.parametrize("data", OTHERS)
def test_what_is_none_is_none(data: bytes) -> None:
    assert type_by_content(data) == type_of_base64(base64.b64encode(data).decode()) == ""


@given(st.text())
def test_any_text_may_stand_for_base64(data: str) -> None:
    assert isinstance(type_of_base64(data), str)


def test_endings() -> None:
    assert type_by_ending("https://a.b/c/d.PNG?e=f.pdf#g.gif") == "image/png"
    assert type_by_ending("https://a.pdf/") == type_by_ending("https://a.b/png") == ""


def written(family: str, part: dict[str, Any]) -> str:
    said = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    request = CLIENTS["openai_chat"].read_request(said)
    return str(UPSTREAMS[family].write_request(request, Target(model="m")).body)


def image(media_type: str, data: bytes) -> dict[str, Any]:
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize("said", ["image/jpg", "image/JPEG", "application/octet-stream", "image/png", ""])
def test_an_image_is_called_what_it_is(said: str) -> None:
    """OpenAI takes any of these for a JPEG; Anthropic wants the type of the data, and Google goes by the type."""
    part = image(said, BEGINNINGS["image/jpeg"])
    assert "'media_type': 'image/jpeg'" in written("anthropic_messages", part)
    assert "'mimeType': 'image/jpeg'" in written("google_generate", part)
    assert "'format': 'jpeg'" in written("bedrock_converse", part)


def test_what_is_not_known_is_called_as_it_was() -> None:
    assert "'mimeType': 'image/x-new'" in written("google_generate", image("image/x-new", b"new"))
    text = base64.b64encode(OTHERS[1]).decode()
    file = {"type": "file", "file": {"filename": "a.txt", "file_data": f"data:text/plain;base64,{text}"}}
    assert "'mimeType': 'text/plain'" in written("google_generate", file)
    with pytest.raises(Misfit):
        written("anthropic_messages", image("image/bmp", BEGINNINGS["image/bmp"]))


def test_a_data_url_without_base64_is_refused() -> None:
    svg = {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg/%3E"}}
    for family in ("anthropic_messages", "google_generate", "bedrock_converse", "ollama_native"):
        with pytest.raises(Misfit):
            written(family, svg)
