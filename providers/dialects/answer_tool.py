"""JSON answers of models that can only be held to a schema in a tool's arguments. Pure.

The request forces a tool of this name; in the answer its call is not a call but the text that was asked for. The name
is all that a reader needs to know, so it needs no memory of the request.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Format, Misfit, Stop

ANSWER_TOOL: Final = "jackfield_json_answer"
ANSWER_TOOL_SAYS: Final = "Gives the final answer to the user. Call it with the answer as its arguments."


def answer_schema(format: Format) -> dict[str, Any]:
    """The schema of the tool's arguments, which are an object. Raises Misfit where the answer is to be another."""
    schema = format.schema
    if schema is None:
        return {"type": "object"}
    kind = schema.get("type", "object")
    if kind != "object":
        raise Misfit(
            "This model can only answer with a JSON object: give the schema the type object at its top.",
            "response_format",
            unsupported=True,
        )
    return {**schema, "type": "object"}


def stop_without(stop: Stop, calls: int, answered: bool) -> Stop:
    """Why an answer stopped, where a call of the answer tool was no call and `calls` others were."""
    return "end" if stop == "tool" and answered and not calls else stop
