"""Reading and changing the top level of a JSON object without re-encoding the rest of it. Pure.

The fast lane between two ends that speak the same dialect: of a request or an answer only a few top-level members
are looked at or replaced, and every other byte goes on as it came. What is let through has been proved to be one
valid JSON object in UTF-8 with distinct top-level keys, bounded in depth, nodes and digits: parsers differ on
everything else, and a body that two parsers read in two ways is a way around any policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from providers.dialects.values import MOST_VALUES, UNREADABLE

MAX_DEPTH: Final = 64
MAX_NODES: Final = MOST_VALUES
#: Top-level members: known requests have a few dozen.
MAX_MEMBERS: Final = 1024
MAX_DIGITS: Final = 64

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_all: Final = msgspec.json.Decoder(dict[str, Any]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode

_SPACE: Final = b" \t\n\r"
_KEY: Final = re.compile(rb'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*')
_AFTER: Final = re.compile(rb"[ \t\n\r]*([,}])")
_STRING: Final = re.compile(rb'"[^"]*"')
_TWO_DIGITS: Final = re.compile(rb"[0-9][0-9]")
_LONG_NUMBER: Final = b"0" * (MAX_DIGITS + 1)
_DIGITS_ALIKE: Final = bytes.maketrans(b"123456789", b"000000000")
_STRIDE: Final = MAX_DIGITS // 2
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b'{}[]"'))
_NOT_NODES: Final = bytes(set(range(256)) - set(b'{}[],"'))
_BRACKETS_ALIKE: Final = bytes.maketrans(b"{[}]", b"(())")


#: A member: its name, where its key, its value and what follows begin.
Span = tuple[str, int, int, int]


class BadBody(ValueError):
    """The body is refused; `code` is stable, the message names no content."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Fields:
    """The top-level members of one JSON object, in order, each as the bytes it came in.

    Edits are collected by `set` and `remove` and applied by `body`.
    """

    __slots__ = ("_body", "_edits", "_members", "_spans")

    def __init__(self, body: bytes, members: dict[str, msgspec.Raw], spans: list[Span] | None = None) -> None:
        self._body = body
        self._members = members
        self._spans = spans
        self._edits: dict[str, bytes | None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def get(self, name: str) -> bytes | None:
        """The raw JSON of a member as it came, None if there is none. Edits do not show here."""
        raw = self._members.get(name)
        return None if raw is None else bytes(raw)

    def text(self, name: str) -> str | None:
        """A member that is a JSON string; None if it is absent or something else."""
        raw = self._members.get(name)
        if raw is None:
            return None
        try:
            return _decode_text(raw)
        except msgspec.ValidationError:
            return None

    def flag(self, name: str) -> bool | None:
        """A member that is true or false; None if it is absent or something else."""
        raw = self._members.get(name)
        return None if raw is None else {b"true": True, b"false": False}.get(bytes(raw))

    def set(self, name: str, raw: bytes) -> None:
        """Replace a member's value with raw JSON, or append the member where there is none."""
        self._edits[name] = raw

    def remove(self, name: str) -> None:
        """Leave a member out."""
        self._edits[name] = None

    def decoded(self) -> dict[str, Any]:
        """The object with all edits applied, as Python's. Raises BadBody where a number in it is beyond all range."""
        try:
            return _decode_all(self.body())
        except UNREADABLE as error:
            raise BadBody("number_too_long", "The body holds a number that is out of range.") from error

    def restore(self) -> None:
        """Forget all edits, for the next attempt at another upstream."""
        self._edits.clear()

    def replace(self, name: str, raw: bytes) -> bytes:
        """`set`, then `body`: the one-edit case."""
        self._edits[name] = raw
        return self.body()

    def body(self) -> bytes:
        """The object with all edits applied and every other byte as it came."""
        edits = self._edits
        if not edits:
            return self._body
        body = self._body
        parts: list[bytes] = []
        done = 0
        seen = 0
        spans = self._spans or _spans(body, self._members)
        last_kept_end = None
        for name, key_start, start, end in spans:
            if name in edits:
                seen += 1
                raw = edits[name]
                if raw is not None:
                    parts += (body[done:start], raw)
                    done = end
                else:
                    # The comma goes with the member: the one before it, or, with nothing kept before, the one after.
                    if last_kept_end is not None:
                        parts.append(body[done:last_kept_end])
                        done = end
                    else:
                        parts.append(body[done:key_start])
                        done = _past_comma(body, end)
                    continue
            last_kept_end = end
        if seen < len(edits):
            fresh = [(name, raw) for name, raw in edits.items() if name not in self._members and raw is not None]
            if fresh:
                close = body.rindex(b"}")
                tail = last_kept_end if last_kept_end is not None else close
                parts.append(body[done:tail])
                members = b",".join(_encode(name) + b":" + raw for name, raw in fresh)
                parts.append(members if last_kept_end is None else b"," + members)
                done = max(done, tail)  # the last members may have been left out
        parts.append(body[done:])
        return b"".join(parts)


def quote(text: str) -> bytes:
    """A JSON string."""
    return _encode(text)


def read_object(body: bytes, max_depth: int = MAX_DEPTH) -> Fields:
    """The members of the one JSON object that `body` is, within the limits of this module.

    Raises BadBody: `invalid_json`, `not_an_object`, `not_utf8`, `duplicate_key`, `too_deep`, `too_many_nodes`,
    `number_too_long`.
    """
    if len(body) > MAX_NODES:
        _check_nodes(body)
    members = _members(body)
    _check_members(members)
    if not body.isascii():
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadBody("not_utf8", "The body is not valid UTF-8.") from error
    spans = _spans(body, members)
    if _has_more_brackets(body, max_depth - 1):
        _check_depth(body, max_depth)
    # Of every run of 65 digits two neighbours in this sample are part.
    if _TWO_DIGITS.search(body[::_STRIDE]) and _LONG_NUMBER in body.translate(_DIGITS_ALIKE):
        _check_digits(body)
    return Fields(body, members, spans)


def read_trusting(body: bytes) -> Fields:
    """As `read_object`, for an event or an answer of an upstream: no limits but on the members that an edit goes
    through, and distinct keys proved only by it.

    Raises BadBody.
    """
    return Fields(body, _members(body))


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _decode(body)
    except UnicodeDecodeError as error:
        raise BadBody("not_utf8", "The body is not valid UTF-8.") from error
    except msgspec.ValidationError as error:
        raise BadBody("not_an_object", "The body must be a JSON object.") from error
    except msgspec.DecodeError as error:
        raise BadBody("invalid_json", "The body is not valid JSON.") from error
    except RecursionError as error:
        raise BadBody("too_deep", "The body is nested too deeply.") from error


def _spans(body: bytes, members: dict[str, msgspec.Raw]) -> list[Span]:
    """Where each member lies, and the proof that no key came twice. Raises BadBody."""
    _check_members(members)
    return _compact_spans(body, members) or list(_walk(body, members))


def _check_members(members: dict[str, msgspec.Raw]) -> None:
    if len(members) > MAX_MEMBERS:
        raise BadBody("too_many_nodes", f"The body has more than {MAX_MEMBERS} top-level members.")


def _compact_spans(body: bytes, members: dict[str, msgspec.Raw]) -> list[Span] | None:
    """Where each member lies (name, key start, value start, value end), if the body is spaced as encoders space it.

    `{"a":1,"b":2}` or `{"a": 1, "b": 2}`. The object is built anew from the members and compared byte for byte, so a
    result is also the proof that no key came twice. None: spaced otherwise, or not proved.
    """
    if body[:2] != b'{"' or not members:
        return None
    first = next(iter(members)).encode()
    at = 2 + len(first)
    colon, comma = (b'": ', b', "') if body[at : at + 3] == b'": ' else (b'":', b',"')
    spans: list[Span] = []
    parts: list[bytes | memoryview] = []
    gap, step, pos = b'{"', len(colon), 0
    for name, raw in members.items():
        key, value = name.encode(), memoryview(raw)
        start = pos + len(gap) + len(key) + step
        end = start + len(value)
        parts += (gap, key, colon, value)
        spans.append((name, pos + len(gap) - 1, start, end))
        gap, pos = comma, end
    parts.append(b"}")
    return spans if b"".join(parts) == body else None


def _walk(body: bytes, members: dict[str, msgspec.Raw]) -> Iterator[Span]:
    """As `_compact_spans`, for any spacing and any escapes in keys. Raises BadBody if a key comes twice.

    The members are followed through the text: each must begin where the one before it ended, with its own key and
    its own value. A JSON value is no proper prefix of another one (numbers are, and then no comma follows), so the
    text keeps step with the decoded members to its end only if every key came once.
    """
    pos = body.find(b"{") + 1
    last = len(members)
    for count, (name, raw) in enumerate(members.items(), 1):
        match = _KEY.match(body, pos)
        if match is None or _decode_text(match[1]) != name:
            raise _duplicate()
        start = match.end()
        value = bytes(raw)
        end = start + len(value)
        after = _AFTER.match(body, end)
        if after is None or (after[1] == b"}") != (count == last) or not body.startswith(value, start):
            raise _duplicate()
        yield name, match.start(1), start, end
        pos = after.end()


def _duplicate() -> BadBody:
    return BadBody("duplicate_key", "The body names a top-level key twice.")


def _past_comma(body: bytes, end: int) -> int:
    """The position after the comma that follows `end`, or `end` before a closing brace."""
    after = _AFTER.match(body, end)
    if after is None or after[1] == b"}":
        return end
    pos = after.end()
    while body[pos] in _SPACE:
        pos += 1
    return pos


def _has_more_brackets(body: bytes, limit: int) -> bool:
    """Whether more than `limit` opening brackets occur, strings included. Cheaper than counting them all."""
    found = 0
    for bracket in (b"{", b"["):
        pos = body.find(bracket)
        while pos >= 0:
            found += 1
            if found > limit:
                return True
            pos = body.find(bracket, pos + 1)
    return False


def _outside_strings(body: bytes, drop: bytes, table: bytes | None = None) -> bytes:
    """The body, mapped by `table`, without its strings and the bytes in `drop` (which must not hold the quote)."""
    if b"\\" in body:
        # Pairs of backslashes first, so that a backslash still before a quote escapes it.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return _STRING.sub(b"", body.translate(table, drop))


def _check_depth(body: bytes, limit: int) -> None:
    brackets = _outside_strings(body, _NOT_BRACKETS, _BRACKETS_ALIKE)
    for _ in range(limit):
        if not brackets:
            return
        # The innermost level goes, everywhere at once.
        brackets = brackets.replace(b"()", b"")
    if brackets:
        raise BadBody("too_deep", f"The body is nested more than {limit} levels deep.")


def _check_nodes(body: bytes) -> None:
    if body.count(b",") + body.count(b"[") + body.count(b"{") < MAX_NODES:
        return
    marks = _outside_strings(body, _NOT_NODES)
    if marks.count(b",") + marks.count(b"[") + marks.count(b"{") >= MAX_NODES:
        raise BadBody("too_many_nodes", f"The body holds more than {MAX_NODES} values.")


def _check_digits(body: bytes) -> None:
    if _LONG_NUMBER in _outside_strings(body, b"", _DIGITS_ALIKE):
        raise BadBody("number_too_long", f"The body holds a number of more than {MAX_DIGITS} digits.")
