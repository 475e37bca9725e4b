"""GitHub Copilot (C-26): a GitHub token for a Copilot token of half an hour, which names the host to call. Pure.

The stored key is the GitHub token; for a GitHub of one's own it is a JSON object of `token` and `api_url`
(`https://github.example/api/v3`), so that where the token is sent is sealed with it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from providers.credentials import bearer
from providers.credentials.request import (
    LIFE_UNSAID,
    CannotMint,
    Exchange,
    Grant,
    Signed,
    Unsigned,
    document,
    fits,
    part,
)
from providers.dialects.values import object_in
from providers.secrets import Secret

GITHUB: Final = "https://api.github.com"
_PATH: Final = "/copilot_internal/v2/token"
#: Copilot answers editors that it knows only.
_EDITOR: Final = {"Editor-Version": "vscode/1.96.2", "User-Agent": "GitHubCopilotChat/0.26.7"}
_VERSION: Final = {"X-Github-Api-Version": "2025-04-01"}
_CALL: Final = (("Copilot-Integration-Id", "vscode-chat"), ("Editor-Version", _EDITOR["Editor-Version"]))
#: A field of the token's text that names a host, for answers without `endpoints`.
_PROXY: Final = re.compile(r"(?:^|;)\s*proxy-ep=(?:https?://)?([A-Za-z0-9.-]+)", re.ASCII)


def ask(plain: str) -> Exchange:
    """What is sent for a token. Raises CannotMint."""
    parts = document(plain)
    token = plain if parts is None else part(parts, "token", "github_token")
    api = GITHUB if parts is None else part(parts, "api_url") or GITHUB
    if not fits(token):
        raise CannotMint("the stored GitHub token is missing or holds characters that no header may carry")
    headers = {"Authorization": f"token {token}", "Accept": "application/json", **_EDITOR, **_VERSION}
    return Exchange("GET", api.rstrip("/") + _PATH, headers)


def read(body: bytes, now: float) -> Grant:
    """The token in a 200's body, and where it is to be used. Raises CannotMint."""
    answer = object_in(body)
    if answer is None:
        raise CannotMint("GitHub's answer is not a JSON object")
    token = part(answer, "token")
    if not fits(token):
        raise CannotMint("GitHub's answer holds no token")
    return Grant(Secret(token), _expiry(answer.get("expires_at"), now), _api(answer, token))


def secrets_of(plain: str) -> tuple[Secret, ...]:
    """What an error of the endpoint may repeat."""
    parts = document(plain)
    token = plain if parts is None else part(parts, "token", "github_token")
    return (Secret(token),) if token else ()


def sign(request: Unsigned, key: str) -> Signed:
    """Add the bearer token and the names by which Copilot knows an editor."""
    signed = bearer.sign(request, key)
    return Signed(signed.url, [*signed.headers, *_CALL])


def _expiry(said: object, now: float) -> float:
    """Epoch seconds, also where milliseconds are said."""
    if isinstance(said, bool) or not isinstance(said, int | float) or said <= 0:
        return now + LIFE_UNSAID
    try:
        return said / 1000 if said > 100_000_000_000 else float(said)
    except OverflowError:
        return now + LIFE_UNSAID


def _api(answer: dict[str, object], token: str) -> str:
    """The base URL for requests: what `endpoints` says, else what the token says, else nothing. HTTPS only."""
    endpoints = answer.get("endpoints")
    said = part(endpoints, "api") if isinstance(endpoints, dict) else ""
    if not said:
        found = _PROXY.search(token)
        said = f"https://{re.sub('^proxy[.]', 'api.', found[1])}" if found else ""
    try:
        parts = urlsplit(said)
    except ValueError:
        return ""
    good = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc
    return said.rstrip("/") if good else ""
