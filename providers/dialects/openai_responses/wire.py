"""Members of a client's request, of the type they must have. Pure.

Everything here raises canon.Misfit with the path of the member at fault.
"""

from __future__ import annotations

from typing import Any

from providers.dialects.canon import Misfit


def text(source: dict[str, Any], name: str, at: str = "") -> str:
    """A string that may be missing or null: then it is empty."""
    value = source.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(name, at, "a string")
    return value


def needed(source: dict[str, Any], name: str, at: str = "") -> str:
    """A string that must be there."""
    if not isinstance(source.get(name), str):
        raise _wrong(name, at, "a string, and must be given")
    return text(source, name, at)


def flag(source: dict[str, Any], name: str, at: str = "") -> bool | None:
    """True or false, None where it is missing or null."""
    value = source.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise _wrong(name, at, "true or false")


def integer(source: dict[str, Any], name: str, at: str = "") -> int | None:
    """A whole number of 0 or more, None where it is missing or null."""
    value = source.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (type(value) is int and value >= 0):
        return value
    raise _wrong(name, at, "a whole number")


def number(source: dict[str, Any], name: str, at: str = "") -> float | None:
    """A number, None where it is missing or null."""
    value = source.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise _wrong(name, at, "a number")


def mapping(source: dict[str, Any], name: str, at: str = "") -> dict[str, Any] | None:
    """An object, None where it is missing or null."""
    value = source.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise _wrong(name, at, "an object")


def objects(source: dict[str, Any], name: str, at: str = "") -> list[dict[str, Any]]:
    """A list of objects, empty where it is missing or null."""
    value = source.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _wrong(name, at, "a list of objects")
    return value


def words(source: dict[str, Any], name: str, at: str = "") -> list[str]:
    """A list of strings, empty where it is missing or null."""
    value = source.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong(name, at, "a list of strings")
    return value


def rest(source: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The members that are not among the known ones; null says nothing."""
    return {name: value for name, value in source.items() if name not in known and value is not None}


def path(at: str, name: str) -> str:
    """The member `name` of what is at `at`."""
    return f"{at}.{name}" if at else name


def _wrong(name: str, at: str, form: str) -> Misfit:
    where = path(at, name)
    return Misfit(f"`{where}` must be {form}.", where)
