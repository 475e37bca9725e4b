"""Members of a client's JSON, each of the type it must have or a Misfit that says so. Pure."""

from __future__ import annotations

from typing import Any

from providers.dialects.canon import Misfit

_TEXT = "a string"


def wrong(param: str, wanted: str) -> Misfit:
    """The refusal of a member of the wrong type."""
    return Misfit(f"`{param}` must be {wanted}.", param)


def text(source: dict[str, Any], name: str, param: str = "") -> str:
    """A string; empty where there is none."""
    value = source.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(param or name, _TEXT)
    return value


def needed(source: dict[str, Any], name: str, param: str) -> str:
    """A string that must be there."""
    if not isinstance(source.get(name), str):
        raise wrong(param, _TEXT)
    return text(source, name, param)


def flag(source: dict[str, Any], name: str, param: str = "") -> bool | None:
    """true, false, or None where there is neither."""
    value = source.get(name)
    if value is not None and not isinstance(value, bool):
        raise wrong(param or name, "true or false")
    return value


def integer(source: dict[str, Any], name: str, param: str = "") -> int | None:
    """A whole number that is not negative."""
    value = source.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 0:
        raise wrong(param or name, "a whole number of at least 0")
    return value


def number(source: dict[str, Any], name: str) -> float | None:
    """A number. A whole one stays whole, so that it goes out as it came."""
    value = source.get(name)
    if value is not None and type(value) not in (int, float):
        raise wrong(name, "a number")
    return value


def mapping(source: dict[str, Any], name: str, param: str = "") -> dict[str, Any] | None:
    """A JSON object."""
    value = source.get(name)
    if value is not None and not isinstance(value, dict):
        raise wrong(param or name, "an object")
    return value


def objects(source: dict[str, Any], name: str, param: str = "") -> list[dict[str, Any]]:
    """A list of JSON objects; empty where there is none."""
    value = source.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise wrong(param or name, "a list of objects")
    return value


def texts(source: dict[str, Any], name: str) -> tuple[str, ...]:
    """A list of strings; empty where there is none."""
    value = source.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong(name, "a list of strings")
    return tuple(value)


def others(source: dict[str, Any], *known: str) -> dict[str, Any]:
    """The members that are none of `known`."""
    return {name: value for name, value in source.items() if name not in known}
