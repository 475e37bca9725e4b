"""Schemas of `parameters` and `responseSchema`, a subset of OpenAPI 3.0, as JSON Schema. Pure.

What says JSON Schema already (`parametersJsonSchema`, `responseJsonSchema`) needs none of this, and is what we write.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Misfit
from providers.dialects.google_generate.members import camel

_MOST_DEEP: Final = 64
_NAMED: Final = ("properties", "$defs", "defs")
_NESTED: Final = ("items", "additionalProperties")
_LISTED: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def json_schema(value: Any, param: str, depth: int = 0) -> dict[str, Any]:
    """JSON Schema for one of Google's: lower-case types, `nullable` as a type, counts as numbers."""
    if not isinstance(value, dict):
        raise Misfit(f"{param} must be a schema object.", param)
    if depth > _MOST_DEEP:
        raise Misfit(f"{param} is nested too deeply.", param)
    found: dict[str, Any] = {}
    for name, member in value.items():
        key = camel(name)
        if member is not None:
            found[key] = _member(key, member, param, depth)
    nullable = found.pop("nullable", None)
    kind = found.get("type")
    if nullable is True and isinstance(kind, str):
        found["type"] = [kind, "null"]
        if isinstance(found.get("enum"), list) and None not in found["enum"]:
            found["enum"] = [*found["enum"], None]
    return found


def _member(key: str, member: Any, param: str, depth: int) -> Any:
    if key in _NAMED and isinstance(member, dict):
        return {name: json_schema(schema, param, depth + 1) for name, schema in member.items()}
    if key in _NESTED and isinstance(member, dict):
        return json_schema(member, param, depth + 1)
    if key in _LISTED and isinstance(member, list):
        return [json_schema(schema, param, depth + 1) for schema in member]
    if key == "type":
        return _types(member)
    if key in _COUNTS and isinstance(member, str) and member.isdecimal():
        return int(member[:18])
    return member


def _types(member: Any) -> Any:
    if isinstance(member, list):
        return [_types(kind) for kind in member]
    return member.lower() if isinstance(member, str) else member
