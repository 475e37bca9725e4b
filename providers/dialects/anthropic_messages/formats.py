"""JSON as the answer's format: said where the model can be held to a schema, else by a tool that it must call. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.answer_tool import ANSWER_TOOL, ANSWER_TOOL_SAYS, answer_schema
from providers.dialects.canon import Format

_STRING_FORMATS: Final = (
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
)
_COMBINED: Final = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")


class _Inexpressible(ValueError):
    """The API cannot hold a model to this schema."""


def enforceable(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema in the part of JSON Schema that the API enforces; None if that would change what fits.

    Bounds, patterns and the like, which it does not enforce, go into the description, as its SDKs do.
    """
    try:
        return _strict(schema)
    except (_Inexpressible, RecursionError):
        return None


def answer_tool(form: Format) -> dict[str, Any]:
    """The tool whose arguments are the answer. Raises canon.Misfit."""
    return {
        "name": ANSWER_TOOL,
        "description": form.description or ANSWER_TOOL_SAYS,
        "input_schema": answer_schema(form),
    }


def _strict(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise _Inexpressible
    rest = dict(schema)
    made: dict[str, Any] = {}
    definitions = rest.pop("$defs", None)
    if isinstance(definitions, dict):
        made["$defs"] = {name: _strict(value) for name, value in definitions.items()}
    if isinstance(rest.get("$ref"), str):
        return {**made, "$ref": rest["$ref"]}
    for name in ("description", "title"):
        if isinstance(rest.get(name), str):
            made[name] = rest.pop(name)
    rest.pop("$schema", None)
    rest.pop("default", None)
    _shape(rest, made)
    if rest.keys() & {"definitions", "patternProperties", "not", "if", "prefixItems"}:
        raise _Inexpressible
    if rest:
        leftovers = ", ".join(f"{name}: {value}" for name, value in rest.items())
        made["description"] = (
            f"{made['description']}\n\n{{{leftovers}}}" if made.get("description") else f"{{{leftovers}}}"
        )
    return made


def _shape(rest: dict[str, Any], made: dict[str, Any]) -> None:
    """Move what says the shape from `rest` to `made`."""
    kind = rest.pop("type", None)
    for literal in ("enum", "const"):
        if literal in rest:
            made[literal] = rest.pop(literal)
            return
    for name, said in _COMBINED.items():
        if isinstance(rest.get(name), list):
            made[said] = [_strict(variant) for variant in rest.pop(name)]
            return
    if isinstance(kind, list):
        members = dict(rest)
        rest.clear()
        made["anyOf"] = [_strict({**_fitting(members, one), "type": one}) for one in kind]
        return
    if kind not in _TYPES:
        raise _Inexpressible
    made["type"] = kind
    _inside(kind, rest, made)


def _fitting(members: dict[str, Any], kind: Any) -> dict[str, Any]:
    """The members of a schema of several types that concern one of them."""
    return members if kind != "null" else {}


def _inside(kind: str, rest: dict[str, Any], made: dict[str, Any]) -> None:
    if kind == "object":
        properties = rest.pop("properties", {})
        if rest.pop("additionalProperties", False) is not False and not properties:
            raise _Inexpressible
        if not isinstance(properties, dict):
            raise _Inexpressible
        made["properties"] = {name: _strict(value) for name, value in properties.items()}
        made["additionalProperties"] = False
        if isinstance(rest.get("required"), list):
            made["required"] = rest.pop("required")
    elif kind == "array":
        if "items" in rest:
            made["items"] = _strict(rest.pop("items"))
        if rest.get("minItems") in (0, 1):
            made["minItems"] = rest.pop("minItems")
    elif kind == "string" and rest.get("format") in _STRING_FORMATS:
        made["format"] = rest.pop("format")
