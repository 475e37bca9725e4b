"""Members of proto messages said in JSON: either spelling of their names, single values for lists, numbers as text.

Pure. Google's servers take `max_output_tokens` for `maxOutputTokens`, one object for a list of one, and "5" for 5; so
do we. Everything else of another type is a Misfit that names the member.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

import msgspec

from providers.dialects.canon import Misfit

_HUMP: Final = re.compile(r"_+([a-z0-9])")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}\Z")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_MOST: Final = 2**53


def camel(name: str) -> str:
    """`max_output_tokens` -> `maxOutputTokens`."""
    return _HUMP.sub(lambda hump: hump[1].upper(), name) if "_" in name else name


def message(value: Any, param: str) -> dict[str, Any]:
    """A proto message with its members in camel case; those that are null are absent."""
    if not isinstance(value, dict):
        raise Misfit(f"{param or 'The body'} must be an object.", param)
    found: dict[str, Any] = {}
    for name, member in value.items():
        key = camel(name)
        if member is not None and (key == name or key not in found):
            found[key] = member
    return found


def below(parent: dict[str, Any], name: str, param: str) -> dict[str, Any] | None:
    """A message that is a member of another; None if it is absent."""
    value = parent.get(name)
    return None if value is None else message(value, within(param, name))


def within(param: str, name: str) -> str:
    """The name of a member, as seen from the top."""
    return f"{param}.{name}" if param else name


def several(parent: dict[str, Any], name: str) -> list[Any]:
    """A repeated member; one value stands for a list of one."""
    value = parent.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(parent: dict[str, Any], name: str, param: str = "") -> str:
    """A string, empty if absent."""
    value = parent.get(name, "")
    if not isinstance(value, str):
        raise Misfit(f"{within(param, name)} must be a string.", within(param, name))
    return value


def texts(parent: dict[str, Any], name: str, param: str = "") -> tuple[str, ...]:
    """A list of strings."""
    found = several(parent, name)
    if not all(isinstance(value, str) for value in found):
        raise Misfit(f"{within(param, name)} must be a list of strings.", within(param, name))
    return tuple(found)


def flag(parent: dict[str, Any], name: str, param: str = "") -> bool | None:
    """True, false, or None if absent."""
    value = parent.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise Misfit(f"{within(param, name)} must be true or false.", within(param, name))


def number(parent: dict[str, Any], name: str, param: str = "") -> float | None:
    """A number, or None if absent."""
    value = _unquoted(parent.get(name))
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise Misfit(f"{within(param, name)} must be a number.", within(param, name))


def integer(parent: dict[str, Any], name: str, param: str = "") -> int | None:
    """A whole number (5.0 is one), or None if absent."""
    value = number(parent, name, param)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and abs(value) <= _MOST):
        return value
    raise Misfit(f"{within(param, name)} must be a whole number.", within(param, name))


def _unquoted(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > 32:
        return value
    try:
        return msgspec.json.decode(value, type=int | float)
    except msgspec.DecodeError:
        return value


def standard_base64(data: str) -> str:
    """The same bytes in base64's standard alphabet with its padding: the official SDKs send the URL's."""
    bare = data.translate(_URL_SAFE).rstrip("=")
    return bare + "=" * (-len(bare) % 4)


def is_base64(data: str) -> bool:
    """Whether it is, in the standard alphabet."""
    return len(data) % 4 == 0 and _BASE64.match(data) is not None


def decoded(data: str) -> str:
    """The text that is base64 in either alphabet; empty if it is none."""
    try:
        return base64.b64decode(standard_base64(data), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


def encoded(plain: str) -> str:
    """Text in base64."""
    return base64.b64encode(plain.encode("utf-8", "surrogatepass")).decode("ascii")
