"""Whether a model can do what a request needs, as far as its facts tell. Pure.

Facts are incomplete and now and then wrong: what is unknown fits, and `routing.resolve` passes over what does not fit
only while something else is left. The dialect has the last word when the request is written.
"""

from __future__ import annotations

import msgspec

from providers.entries import FactsEntry


class Needs(msgspec.Struct, frozen=True, gc=False):
    """What a request asks of a model beyond words in and words out. `tokens`: about how long it is, 0 if unknown."""

    stream: bool = False
    tools: bool = False
    images: bool = False
    schema: bool = False
    tokens: int = 0


NOTHING = Needs()


def misfit(needs: Needs, facts: FactsEntry | None, *, streams: bool) -> str | None:
    """Why a model with these facts cannot do it; None: nothing speaks against it. `streams`: its provider does."""
    if needs.stream and not streams:
        return "its provider does not stream"
    if facts is None:
        return None
    if needs.tools and facts.tools is False:
        return "the model takes no tools"
    if needs.images and facts.input_modalities and "image" not in facts.input_modalities:
        return "the model reads no images"
    if needs.schema and facts.structured_output is False:
        return "the model cannot be held to a schema"
    if facts.context and needs.tokens > facts.context:
        return f"its context of {facts.context} tokens is shorter than the request's {needs.tokens}"
    return None
