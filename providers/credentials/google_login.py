"""A person's sign-in with Google, as command line programs keep it: exchanged for an access token. Pure.

The stored key is JSON with `refresh_token` and the OAuth client it was given to: `client_id` and `client_secret`. That
is what `gcloud auth application-default login` writes; gemini-cli's `oauth_creds.json` lacks the client, whose two
fields are added by whoever enters it (M-22: no client of anybody is in our code or configuration). Any other text is an
access token and sent as it is.

Unlike `google_adc` it names no project in `x-goog-user-project`: Code Assist is no API that a project can switch on and
answers 403 to that header. Nothing but Google's own endpoint is asked, whatever the document says.
"""

from __future__ import annotations

from typing import Final

from providers.credentials import bearer
from providers.credentials.request import CannotMint, Exchange, Grant, Signed, Unsigned, document, granted, part, posted
from providers.secrets import Secret

#: google-auth-library's and google-auth's: the one of Google's discovery document.
_ENDPOINT: Final = "https://oauth2.googleapis.com/token"
_USER: Final = "authorized_user"
_NEEDED: Final = ("client_id", "client_secret", "refresh_token")


def ask(plain: str) -> Exchange:
    """What is sent for a token. Raises CannotMint."""
    parts = document(plain)
    if parts is None:
        raise CannotMint("the stored key is no JSON object")
    if part(parts, "type") not in ("", _USER):
        raise CannotMint(f"the stored credential is no person's sign-in: its type is not {_USER}")
    lacks = [name for name in _NEEDED if not part(parts, name)]
    if lacks:
        raise CannotMint(f"the stored credential lacks {', '.join(lacks)}")
    form = {"grant_type": "refresh_token", **{name: part(parts, name) for name in _NEEDED}}
    return posted(_ENDPOINT, form)


def read(body: bytes, now: float) -> Grant:
    """The token in a 200's body. Raises CannotMint."""
    return granted(body, now)


def secrets_of(plain: str) -> tuple[Secret, ...]:
    """What an error of the endpoint may repeat."""
    parts = document(plain) or {}
    names = ("client_secret", "refresh_token", "access_token", "id_token")
    return tuple(Secret(text) for name in names if (text := part(parts, name)))


def sign(request: Unsigned, key: str) -> Signed:
    """Add the bearer token."""
    return bearer.sign(request, key)
