"""What the environment says about a provider's credentials: the usual variable names and their order. Pure.

The order of M-08 to M-11: a live override, `<P>_API_KEYS` split on comma or semicolon, the provider's own variables,
`<P>_API_KEY_*` by number and then by name. Values are trimmed; blanks and repetitions are dropped, the first stays.
Of Google, GOOGLE_API_KEY comes after all GEMINI_* (M-09). A credential of several parts becomes one JSON document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from providers.credentials.oauth2_client import service_url
from providers.secrets import Secret

_SPLIT: Final = re.compile(r"[,;]")
#: Providers whose variables of another stem come last.
_OTHER_STEMS_LAST: Final = frozenset({"google"})
#: Credential scheme -> (field of the document, its variable, is it needed). The first field stands for all in names.
_IN_PARTS: Final[dict[str, tuple[tuple[str, str, bool], ...]]] = {
    "sigv4": (
        ("access_key_id", "AWS_ACCESS_KEY_ID", True),
        ("secret_access_key", "AWS_SECRET_ACCESS_KEY", True),
        ("session_token", "AWS_SESSION_TOKEN", False),
    ),
    "oauth2-client": (
        ("client_id", "SAP_AI_CORE_CLIENT_ID", True),
        ("client_secret", "SAP_AI_CORE_CLIENT_SECRET", True),
        ("token_url", "SAP_AI_CORE_TOKEN_URL", True),
    ),
}
#: Credential scheme -> the variable of a whole key that also says its address, which variable that fills, its reader.
_WHOLE_KEYS: Final[dict[str, tuple[str, str, Callable[[str], str]]]] = {
    "oauth2-client": ("AICORE_SERVICE_KEY", "service_url", service_url),
}


class Found(NamedTuple):
    """One key and the variable it came from; `others` hold further parts of it, or the same key once more."""

    name: str
    secret: Secret
    live: bool
    others: tuple[str, ...] = ()


class Asked(NamedTuple):
    """What is known of a provider when its variables are looked for. `variables`: name -> env names, in order."""

    slug: str
    prefix: str
    env_keys: tuple[str, ...]
    credential: str
    variables: Mapping[str, tuple[str, ...]]


def prefix_of(slug: str, env_prefix: str) -> str:
    """The stem of a provider's rotation variables: its own, else its id in capitals."""
    return env_prefix or re.sub(r"[^A-Z0-9]", "_", slug.upper())


def stem_of(pattern: str) -> str:
    """AWS_* -> AWS; empty for a label that is no pattern."""
    return pattern.removesuffix("_*") if pattern.endswith("_*") else ""


def keys_of_provider(asked: Asked, environ: Mapping[str, str]) -> list[Found]:
    """The keys of a provider's own account, in the order they are tried (M-08 to M-11)."""
    stem = asked.prefix
    single = _single_names(asked)
    if f"{stem}_API_KEY" not in single:
        single = (f"{stem}_API_KEY", *single)
    late: tuple[str, ...] = ()
    if asked.slug in _OTHER_STEMS_LAST:
        late = tuple(name for name in single if not name.startswith(f"{stem}_"))
        single = tuple(name for name in single if name not in late)
    live = (f"JACKFIELD_LIVE_{stem}_KEY", f"JACKFIELD_LIVE_{prefix_of(asked.slug, '')}_KEY")
    return _unique(
        (
            *_values(live, environ, live=True),
            *_list(f"{stem}_API_KEYS", environ),
            *_values(single, environ),
            *_document(asked.credential, "", environ),
            *_values(_numbered(stem, environ), environ),
            *_values(late, environ),
        )
    )


def keys_of_pattern(asked: Asked, stem: str, environ: Mapping[str, str]) -> list[Found]:
    """The keys of a family of variables such as AZURE_MYCELI_GPT5MINI_*: no variable outside it is read (P-06)."""
    inside = tuple(name for name in _single_names(asked) if name.startswith(f"{stem}_"))
    return _unique(
        (
            *_values((f"JACKFIELD_LIVE_{stem}_KEY",), environ, live=True),
            *_list(f"{stem}_API_KEYS", environ),
            *_values((*inside, f"{stem}_API_KEY", f"{stem}_KEY"), environ),
            *_document(asked.credential, stem, environ),
            *_values(_numbered(stem, environ), environ),
        )
    )


def names_of_pattern(asked: Asked, stem: str) -> tuple[str, ...]:
    """What to set for a key of this family, as a reader of a message needs it; parts of one key joined by " with "."""
    inside = [name for name in _single_names(asked) if name.startswith(f"{stem}_")]
    parts = [_part_name(stem, field, usual) for field, usual, needed in _IN_PARTS.get(asked.credential, ()) if needed]
    if parts:
        inside.append(" with ".join(parts))
    return tuple(inside) or (f"{stem}_API_KEY",)


def address_of_pattern(asked: Asked, stem: str) -> str:
    """The variable of this family that says where its provider is, or "" if none does."""
    if {"resource", "domain"} <= set(asked.variables):
        return f"{stem}_ENDPOINT"
    return next((f"{stem}_{name.upper()}" for name in asked.variables), "")


def variables_of_provider(asked: Asked, environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Variable -> (environment name, value) of a provider's own account: the first name that is set.

    A service key that says its own address goes before them (C-25: credentials and address from one source).
    """
    found = _filled(asked, environ)
    if asked.credential in _WHOLE_KEYS:
        name, variable, read = _WHOLE_KEYS[asked.credential]
        said = read(environ.get(name, "")) if variable in asked.variables and name in asked.env_keys else ""
        if said:
            found[variable] = (name, said)
    return found


def _filled(asked: Asked, environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    found = {}
    for variable, names in asked.variables.items():
        for name in names:
            if environ.get(name, "").strip():
                found[variable] = (name, environ[name].strip())
                break
    return found


def variables_of_pattern(asked: Asked, stem: str, environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Variable -> (environment name, value) of a family: <STEM>_REGION fills region, and so on.

    <STEM>_ENDPOINT is a URL. A provider whose template is made of resource and domain gets these two from its host.
    """
    inside = {
        variable: (f"{stem}_{variable.upper()}", *(name for name in names if name.startswith(f"{stem}_")))
        for variable, names in asked.variables.items()
    }
    found = _filled(asked._replace(variables=inside), environ)
    name = f"{stem}_ENDPOINT"
    endpoint = environ.get(name, "").strip()
    if endpoint and {"resource", "domain"} <= set(asked.variables):
        host = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}").hostname or ""
        resource, _, domain = host.partition(".")
        if resource and domain:
            found.setdefault("resource", (name, resource))
            found.setdefault("domain", (name, domain))
    return found


def _single_names(asked: Asked) -> tuple[str, ...]:
    """The variables that hold a whole key: no parts of a document, nothing that fills the URL."""
    parts = {name for _, name, _ in _IN_PARTS.get(asked.credential, ())}
    filling = {name for names in asked.variables.values() for name in names}
    return tuple(name for name in asked.env_keys if name not in parts and name not in filling)


def _values(names: Iterable[str], environ: Mapping[str, str], *, live: bool = False) -> Iterator[Found]:
    for name in names:
        value = environ.get(name, "").strip()
        if value:
            yield Found(name, Secret(value), live)


def _list(name: str, environ: Mapping[str, str]) -> Iterator[Found]:
    for part in _SPLIT.split(environ.get(name, "")):
        if part.strip():
            yield Found(name, Secret(part.strip()), False)


def _numbered(stem: str, environ: Mapping[str, str]) -> list[str]:
    """<STEM>_API_KEY_1, _2, _10, then other suffixes by name (A-16)."""
    start = f"{stem}_API_KEY_"
    names = [name for name in environ if name.startswith(start) and len(name) > len(start)]

    def order(name: str) -> tuple[bool, int, str]:
        suffix = name[len(start) :]
        number = suffix.isascii() and suffix.isdigit()
        return (not number, int(suffix[:18]) if number else 0, suffix)

    return sorted(names, key=order)


def _document(credential: str, stem: str, environ: Mapping[str, str]) -> Iterator[Found]:
    """The credential of several parts, if every part that is needed is there."""
    parts = _IN_PARTS.get(credential)
    if not parts:
        return
    document: dict[str, str] = {}
    names: list[str] = []
    for field, usual, needed in parts:
        name = _part_name(stem, field, usual)
        value = environ.get(name, "").strip()
        if value:
            document[field] = value
            names.append(name)
        elif needed:
            return
    yield Found(names[0], Secret(json.dumps(document, separators=(",", ":"))), False, tuple(names[1:]))


def _part_name(stem: str, field: str, usual: str) -> str:
    """The variable of one part of a credential in a family; without a stem, the usual one."""
    return usual if not stem or usual.startswith(f"{stem}_") else f"{stem}_{field.upper()}"


def _unique(found: Iterable[Found]) -> list[Found]:
    """Each key once, in its first place, which also knows the variables that repeat it: they are secrets as well."""
    first: dict[str, Found] = {}
    for item in found:
        kept = first.setdefault(item.secret.reveal(), item)
        if kept is not item:
            names = dict.fromkeys((*kept.others, item.name, *item.others))
            names.pop(kept.name, None)
            first[item.secret.reveal()] = kept._replace(others=tuple(names))
    return list(first.values())
