"""The configuration document's shape: its tables, their fields, and what identifies a row.

Nothing here looks at the database. A field that a line does not name is UNSET: on an existing row it stays as it is, on
a new one it takes the default of the table it belongs to.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

Text: TypeAlias = Annotated[str, Meta(max_length=400)]
Short: TypeAlias = Annotated[str, Meta(max_length=200)]
Label: TypeAlias = Annotated[str, Meta(max_length=80)]
Family: TypeAlias = Annotated[str, Meta(max_length=40)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2_147_483_647)]
Seconds: TypeAlias = Annotated[int, Meta(gt=0, le=86_400)] | Annotated[float, Meta(gt=0, le=86_400)]
Quirks: TypeAlias = dict[str, Any]
Variables: TypeAlias = dict[str, Short]


class Refused(Exception):
    """The document cannot be applied; nothing was changed. `problems` are complete sentences with their place."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


class KeyLine(msgspec.Struct, frozen=True):
    """Where a credential is read from when the document is applied. The credential itself is never in a document."""

    source: str
    enabled: bool = True


class VariableLine(msgspec.Struct, frozen=True):
    name: str
    env: list[str] = []
    default: Short = ""


class TimeoutsLine(msgspec.Struct, frozen=True):
    connect: Seconds | UnsetType = UNSET
    first_byte: Seconds | UnsetType = UNSET
    gap: Seconds | UnsetType = UNSET
    total: Seconds | UnsetType = UNSET


class KeySetRef(msgspec.Struct, frozen=True):
    """A key set of a project. A shared one is written as its bare name."""

    name: str
    project: str


class RouteLine(msgspec.Struct, frozen=True):
    """One route of a model. Routes are given whole: a field left out has its default."""

    account: str
    model: str
    priority: Count = 0
    weight: Count = 1
    enabled: bool = True
    quirks: Quirks = {}
    key_set: str | KeySetRef = ""
    family: Family = ""
    infra: Literal["api", "fleet"] = "api"
    larger_context: bool = False


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One table entry. `absent = true` removes the row; `place` is how messages name the line."""

    place: str = ""
    absent: bool = False


class ProviderLine(Line, frozen=True, kw_only=True):
    id: str
    name: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    family: Family | UnsetType = UNSET
    families: dict[Family, Text] | UnsetType = UNSET
    base_url: Text | UnsetType = UNSET
    variables: list[VariableLine] | UnsetType = UNSET
    credential: Family | UnsetType = UNSET
    credential_name: Annotated[str, Meta(max_length=60)] | UnsetType = UNSET
    env_keys: list[str] | UnsetType = UNSET
    env_prefix: Annotated[str, Meta(max_length=60)] | UnsetType = UNSET
    aliases: list[str] | UnsetType = UNSET
    capabilities: list[Family] | UnsetType = UNSET
    streaming: bool | UnsetType = UNSET
    keyless: bool | UnsetType = UNSET
    quirks: Quirks | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    deferred_to: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    deferred_reason: Annotated[str, Meta(max_length=300)] | UnsetType = UNSET


class AccountLine(Line, frozen=True, kw_only=True):
    name: str
    provider: str | UnsetType = UNSET
    family: Family | UnsetType = UNSET
    base_url: Text | UnsetType = UNSET
    variables: Variables | UnsetType = UNSET
    private_network: bool | UnsetType = UNSET
    timeouts: TimeoutsLine | UnsetType = UNSET
    env_pattern: Label | UnsetType = UNSET
    probe: Literal["free", "on", "off"] | UnsetType = UNSET
    probe_interval: Annotated[int, Meta(ge=60, le=86_400)] | UnsetType = UNSET
    probe_cost: Annotated[int, Meta(ge=0, lt=2**31)] | UnsetType = UNSET
    worker_hosts: list[str] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    keys: list[KeyLine] | UnsetType = UNSET


class KeySetLine(Line, frozen=True, kw_only=True):
    account: str
    name: Annotated[str, Meta(min_length=1, max_length=63)] = "default"
    project: str | UnsetType = UNSET
    variables: Variables | UnsetType = UNSET
    env_pattern: Label | UnsetType = UNSET
    keys: list[KeyLine] | UnsetType = UNSET


class ModelLine(Line, frozen=True, kw_only=True):
    name: str
    service: Literal["text", "image", "video", "audio", "embedding"] | UnsetType = UNSET
    description: Short | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    strategy: Literal["weighted", "latency", "least-busy", "cost", "in-order"] | UnsetType = UNSET
    sticky: bool | UnsetType = UNSET
    content_fallback: bool | UnsetType = UNSET
    hedge_after: Annotated[str, Meta(max_length=12)] | UnsetType = UNSET
    hedge_daily: Count | UnsetType = UNSET
    routes: list[RouteLine] | UnsetType = UNSET


class AliasLine(Line, frozen=True, kw_only=True):
    name: str
    model: str | UnsetType = UNSET


class PrefixLine(Line, frozen=True, kw_only=True):
    prefix: Annotated[str, Meta(max_length=100)]
    provider: str | UnsetType = UNSET
    strip: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ProjectLine(Line, frozen=True, kw_only=True):
    name: str
    description: Short | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    default_model: str | UnsetType = UNSET
    preferred: list[str] | UnsetType = UNSET
    allow: list[Short] | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


#: Tables in the order a document lists them and rows are written in.
TABLES: Final[dict[str, type[Line]]] = {
    "provider": ProviderLine,
    "account": AccountLine,
    "project": ProjectLine,
    "key_set": KeySetLine,
    "model": ModelLine,
    "alias": AliasLine,
    "prefix": PrefixLine,
}
#: What identifies a row, by table.
IDENTITY: Final[dict[str, tuple[str, ...]]] = {
    "provider": ("id",),
    "account": ("name",),
    "project": ("name",),
    "key_set": ("account", "project", "name"),
    "model": ("name",),
    "alias": ("name",),
    "prefix": ("prefix",),
}


class Document(msgspec.Struct, frozen=True):
    """A document whose form is right. Whether its names exist is for `routing.applying` to see."""

    provider: list[ProviderLine] = []
    account: list[AccountLine] = []
    project: list[ProjectLine] = []
    key_set: list[KeySetLine] = []
    model: list[ModelLine] = []
    alias: list[AliasLine] = []
    prefix: list[PrefixLine] = []

    def lines(self, table: str) -> list[Any]:
        lines: list[Any] = getattr(self, table)
        return lines


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` for the known name nearest to `name`, or nothing."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return f'; did you mean "{by_fold[close[0]]}"?' if close else ""


def identity(table: str, line: Line | Mapping[str, Any]) -> tuple[str, ...]:
    """The natural key of a line: its identity fields as text, UNSET ones empty."""
    values = (line.get(name, "") if isinstance(line, Mapping) else getattr(line, name, "") for name in IDENTITY[table])
    return tuple(value if isinstance(value, str) else "" for value in values)
