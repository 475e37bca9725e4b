"""The quirks there are, and the form of each. Pure.

A quirk of another form would change nothing and nobody would know why, so saves refuse it. A name that is not listed
here is let through: it does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from providers.families import FAMILIES

_Check = Callable[[Any], bool]
_LOCATION: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_HOST: Final = re.compile(r"[a-z0-9.-]+")
#: Schemes that put a key on a request as it is; of the others the stored secret is no key.
_PLAIN: Final = ("bearer", "header", "query")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_renaming(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_cap(value: Any) -> bool:
    return isinstance(value, dict) and all(type(most) in (int, float) for most in value.values())


def _is_duration(value: Any) -> bool:
    return _is_text(value) or type(value) is int


def _is_scheme(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"credential", "credential_name"}
        and value.get("credential") in _PLAIN
        and isinstance(value.get("credential_name", ""), str)
    )


def _is_families(value: Any) -> bool:
    return isinstance(value, dict) and all(name in FAMILIES for name in value.values())


def _is_quirks_by_family(value: Any) -> bool:
    return isinstance(value, dict) and all(
        name in FAMILIES and isinstance(own, dict) and "by_family" not in own and not faults(own)
        for name, own in value.items()
    )


def _matches(pattern: re.Pattern[str]) -> _Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _one_of(*words: str) -> tuple[str, _Check]:
    return f"one of {', '.join(words)}", lambda value: value in words


_TEXT: Final = ("a text that is not empty", _is_text)
_FLAG: Final = ("true or false", _is_flag)
_TEXTS: Final = ("a list of texts", _is_texts)
_MAPPING: Final = ("an object", _is_mapping)
_SCHEME: Final = ("an object of `credential` (bearer, header or query) and `credential_name`", _is_scheme)

#: name -> what it must be, and whether a value is that.
FORMS: Final[dict[str, tuple[str, _Check]]] = {
    # providers.quirks: of bodies
    "rename": ("an object of old names and new names", _is_renaming),
    "drop": _TEXTS,
    "default": _MAPPING,
    "force": _MAPPING,
    "cap": ("an object of names and numbers", _is_cap),
    # of meanings
    "system": _TEXT,
    "search": _FLAG,
    # of places
    "location": ("a location such as europe-west1 or global", _matches(_LOCATION)),
    "global_host": ("a host name", _matches(_HOST)),
    "strip_model_prefix": _TEXT,
    "family_by_prefix": ("an object of beginnings of model ids and families", _is_families),
    "by_family": ("an object of families and their quirks", _is_quirks_by_family),
    # of credentials
    "bearer_prefixes": _TEXTS,
    "bearer_headers": ("an object of header names and values", _is_renaming),
    "alternative_credential": _SCHEME,
    "signed_as": (
        f"alternative, or {_SCHEME[0]}",
        lambda value: value == "alternative" or _is_scheme(value),
    ),
    # of streams
    "stream_usage": _FLAG,
    # of dialects, each of which says what they mean
    "max_tokens_field": _TEXT,
    "thoughts": _one_of("reasoning_content", "reasoning", "content", "none"),
    "reasoning_field": _one_of("reasoning_effort", "reasoning", "thinking", "enable_thinking", "none"),
    "efforts": _TEXTS,
    "cache_marks": _one_of("cache_control", "prompt_cache_breakpoint", "none"),
    "developer_role": _FLAG,
    "accepts": _TEXTS,
    # providers.inlining
    "inline": ("a list of image, document", lambda value: _is_texts(value) and {*value} <= {"image", "document"}),
    "sampling": _FLAG,
    "model": _TEXT,
    "vendor": _TEXT,
    "options": _MAPPING,
    "keep_alive": ("a number of seconds or a text such as 5m", _is_duration),
    "guardrailConfig": _MAPPING,
    "performanceConfig": _MAPPING,
    "requestMetadata": _MAPPING,
    "promptVariables": _MAPPING,
    "additionalModelRequestFields": _MAPPING,
    "additionalModelResponseFieldPaths": _TEXTS,
}


def faults(quirks: Mapping[str, Any]) -> list[str]:
    """What is wrong with the form of these quirks, in sentences for the operator; nothing is an empty list."""
    return [
        f"the quirk '{name}' must be {FORMS[name][0]}"
        for name, value in quirks.items()
        if name in FORMS and not FORMS[name][1](value)
    ]
