"""The part of JSON Schema that Bedrock holds a model to. Pure.

It refuses a schema with anything else in it, one that refers to itself, and one with an object that is open.
"""

from __future__ import annotations

from typing import Any, Final

#: Keywords that hold no schemas. A number of items may be asked for only as far as "not empty".
_PLAIN: Final = frozenset({"type", "required", "enum", "const", "default", "title", "description", "format", "$schema"})
_ONE: Final = frozenset({"items"})
_LISTS: Final = frozenset({"anyOf", "allOf"})
_MAPS: Final = frozenset({"properties", "$defs", "definitions"})


class _Inexpressible(ValueError):
    """It cannot be said in that part."""


def enforceable(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema with every object closed; None if a model cannot be held to it."""
    try:
        made = _closed(schema)
    except (_Inexpressible, RecursionError):
        return None
    return made if isinstance(made, dict) and not _refers_to_itself(schema) else None


def _closed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        raise _Inexpressible
    made: dict[str, Any] = {}
    for name, value in schema.items():
        if (
            name in _PLAIN
            or (name == "minItems" and value in (0, 1))
            or (name == "$ref" and isinstance(value, str) and value.startswith("#/"))
            or (name == "additionalProperties" and value is False)
        ):
            made[name] = value
        elif name in _ONE:
            made[name] = _closed(value)
        elif name in _LISTS and isinstance(value, list):
            made[name] = [_closed(item) for item in value]
        elif name in _MAPS and isinstance(value, dict):
            made[name] = {key: _closed(item) for key, item in value.items()}
        else:
            raise _Inexpressible
    kind = made.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind):
        if "properties" not in made:
            # An object of any shape is one that cannot be closed.
            raise _Inexpressible
        made["additionalProperties"] = False
    return made


def _refers_to_itself(schema: dict[str, Any]) -> bool:
    """Whether a definition is reached from itself."""
    reached: dict[str, set[str]] = {}
    for place in ("$defs", "definitions"):
        found = schema.get(place)
        if isinstance(found, dict):
            reached |= {f"#/{place}/{name}": _references(value) for name, value in found.items()}
    for start in reached:
        seen: set[str] = set()
        todo = list(reached[start])
        while todo:
            name = todo.pop()
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                todo += reached.get(name, ())
    return False


def _references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in _references(item)}
    if not isinstance(value, dict):
        return set()
    own = value.get("$ref")
    found = {own} if isinstance(own, str) else set()
    return found | {name for item in value.values() for name in _references(item)}
