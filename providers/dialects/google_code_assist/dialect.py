"""The parts of this dialect under their common names. Only upstreams speak it; what is inside is Gemini's. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Dialect, Envelope
from providers.dialects.google_code_assist.wrapper import opened, wrapped

NAME: Final = "google_code_assist"
#: Inside is the request of Vertex AI, as the types of gemini-cli's `code_assist/converter.ts` are called too.
GOOGLE_CODE_ASSIST: Final = Dialect(
    name=NAME,
    envelope=Envelope(inside="google_generate", family="google-vertex", write=wrapped, read=opened),
)
