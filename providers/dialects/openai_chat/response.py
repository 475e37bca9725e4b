"""A complete chat completion: the public model name put in, the usage read. Pure."""

from __future__ import annotations

import msgspec

from providers.dialects.jsonio import Fields, quote, read_trusting
from providers.dialects.usage import Usage, read_openai_usage


def splice(body: bytes, public_model: str) -> tuple[bytes, Usage | None]:
    """The answer with its top-level `model` replaced, and its usage. Every other byte stays.

    An answer without `model` gets none. Raises jsonio.BadBody where the body is no JSON object.
    """
    fields = read_trusting(body)
    usage = usage_of(fields)
    if "model" not in fields:
        return body, usage
    return fields.replace("model", quote(public_model)), usage


def usage_of(fields: Fields) -> Usage | None:
    """The usage of an answer or a chunk: `usage`, or Groq's `x_groq.usage`."""
    usage = None
    raw = fields.get("usage")
    if raw is not None and raw != b"null":
        usage = read_openai_usage(msgspec.json.decode(raw))
    if usage is None:
        raw = fields.get("x_groq")
        if raw is not None:
            groq = msgspec.json.decode(raw)
            usage = read_openai_usage(groq.get("usage")) if isinstance(groq, dict) else None
    return usage
