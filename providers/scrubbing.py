"""Taking secrets out of text that others wrote: upstream messages repeat keys, some "masked" (X-06). Pure.

A secret is found in any usual spelling and in pieces: every run of `RUN` of its characters, in plain text, in base64
wherever it begins in a longer encoded text, and in hexadecimal, also where JSON, URL or HTML escapes stand between. The
work is linear in the text and in the secrets.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote_plus

from providers.secrets import Secret

MAX_TEXT: Final = 2048
#: Consecutive characters of a secret that give it away.
RUN: Final = 12
#: Shorter secrets than this are words; shorter encoded forms are found by chance.
_SHORTEST: Final = 4
_SHORTEST_FORM: Final = 5
_MASK: Final = "[redacted]"
#: Shapes of keys and tokens, also half masked ones such as sk-ab****yz.
_KEY_LIKE: Final = re.compile(
    r"""
      \b(?:sk|pk|rk|gsk|xai|pplx|hf|nvapi|csk|fw|tgp|jf|key|r8|glpat|ghp|gho|ghu|ghs|github_pat|api)[-_]
          [A-Za-z0-9*•._\-]{8,}
    | \bAIza[A-Za-z0-9_\-*•]{10,}
    | \bya29\.[A-Za-z0-9_\-.]{10,}
    | \b(?:AKIA|ASIA|ABSK)[A-Za-z0-9+/=]{12,}
    | \beyJ[A-Za-z0-9_\-]{8,}+\.[A-Za-z0-9_\-]{8,}+(?:\.[A-Za-z0-9_\-]*)?
    | (?i:\bbearer\s+)[A-Za-z0-9._~+/\-]{8,}=*
    | (?i:(?<=[?&]key=)|(?<=api[_-]key=)|(?<=access_token=))[^\s&"']+
    | (?<![A-Za-z0-9])[A-Za-z0-9]*+\*{3,}[A-Za-z0-9\-_*]*
    """,
    re.VERBOSE,
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: One character as JSON, a URL or HTML escapes it, also when it was escaped again on its way.
_ESCAPED: Final = re.compile(
    r"""(?<!\\)\\++u([0-9A-Fa-f]{4}) | %(?:25)*+([0-9A-Fa-f]{2}) | &(?:amp;)*+\#(?:([0-9]{1,6})|[xX]([0-9A-Fa-f]{1,5}));
    | (?<!\\)\\++(?=[/"]) | (&amp;) """,
    re.VERBOSE,
)


def _forms(plain: str) -> Iterator[str]:
    """The ways a key is written down, without what its neighbours would decide."""
    yield plain
    if " " in plain:
        yield quote_plus(plain)
    raw = plain.encode("utf-8", "surrogatepass")
    yield raw.hex()
    yield raw.hex().upper()
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        # A base64 character that holds bits of a neighbour is not the key's alone.
        own = slice(shared, 8 * (before + len(raw)) // 6)
        padded = bytes(before) + raw
        standard, in_urls = base64.b64encode(padded)[own].decode(), base64.urlsafe_b64encode(padded)[own].decode()
        yield standard
        if in_urls != standard:
            yield in_urls


def _unescaped(text: str) -> tuple[str, list[int]]:
    """The text with every escaped character as itself, and where each character of it begins in `text`."""
    parts: list[str] = []
    starts: list[int] = []
    done = 0
    for match in _ESCAPED.finditer(text):
        starts += range(done, match.start())
        parts.append(text[done : match.start()])
        code = match[1] or match[2] or match[4]
        number = int(code, 16) if code else int(match[3]) if match[3] else 0x26 if match[5] else 0
        if 0 < number < 0x110000:
            parts.append(chr(number))
            starts.append(match.start())
        # else backslashes alone: what they escape follows, and begins with them
        done = match.end()
    starts += range(done, len(text) + 1)
    parts.append(text[done:])
    return "".join(parts), starts


def _runs(plain: str) -> dict[int, set[str]]:
    """What to look for, by its length: every run of each form, or the whole of a form that is shorter than one."""
    wanted: dict[int, set[str]] = {}
    for form in _forms(plain):
        if form != plain and len(form) < _SHORTEST_FORM:
            continue
        size = min(RUN, len(form))
        found = wanted.setdefault(size, set())
        found.update(form[start : start + size] for start in range(len(form) - size + 1))
    return wanted


def _marked(text: str, wanted: dict[int, set[str]]) -> list[tuple[int, int]]:
    """The stretches of the text that are made of what is wanted, in order."""
    found: list[tuple[int, int]] = []
    for size, runs in wanted.items():
        found += [(start, start + size) for start in range(len(text) - size + 1) if text[start : start + size] in runs]
    found.sort()
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _without(text: str, plain: str) -> str:
    """The text without one secret."""
    wanted = _runs(plain)
    for escaped in (True, False):
        bare, starts = _unescaped(text) if escaped else (text, [])
        if escaped and bare == text:
            continue
        parts: list[str] = []
        done = 0
        for start, end in _marked(bare, wanted):
            first, last = (starts[start], starts[end]) if escaped else (start, end)
            parts += (text[done:first], _MASK)
            done = last
        text = "".join((*parts, text[done:]))
    return text


def scrub(text: str, secrets: Iterable[Secret] = (), limit: int = MAX_TEXT) -> str:
    """The text without the given secrets in any usual encoding, without anything shaped like a key, without control
    and direction characters, and of at most `limit` characters.
    """
    # Cut early enough to bound the work, late enough that no secret is cut in two before it is found.
    text = text[: limit + 8192]
    for secret in secrets:
        plain = secret.reveal()
        if len(plain) >= _SHORTEST:
            text = _without(text, plain)
    text = _CONTROL.sub(" ", _KEY_LIKE.sub(_MASK, text))
    return text if len(text) <= limit else text[: limit - 1] + "…"
