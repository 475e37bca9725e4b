"""Google Cloud: which stored keys are exchanged for access tokens, and which are sent as they are. Pure.

A key that begins with `{` is a service account's key file or the file that `gcloud auth application-default login`
writes; google-auth exchanges it (`providers.minting`). Any other key is a token of its own and sent as bearer (R-09).
"""

from __future__ import annotations

from typing import Final

from providers.credentials import bearer
from providers.credentials.request import CannotMint, Signed, Unsigned, document, part
from providers.secrets import Secret

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
SERVICE_ACCOUNT: Final = "service_account"
AUTHORIZED_USER: Final = "authorized_user"
_NEEDED: Final = {
    SERVICE_ACCOUNT: ("client_email", "private_key", "token_uri"),
    AUTHORIZED_USER: ("client_id", "client_secret", "refresh_token"),
}


def parts_of(plain: str) -> dict[str, object]:
    """The fields of a key file that can be exchanged; other kinds name programs and files. Raises CannotMint."""
    parts = document(plain)
    if parts is None:
        raise CannotMint("the stored key is no JSON object")
    needed = _NEEDED.get(part(parts, "type"))
    if needed is None:
        raise CannotMint(f"the stored credential's type is neither {SERVICE_ACCOUNT} nor {AUTHORIZED_USER}")
    lacks = [name for name in needed if not part(parts, name)]
    if lacks:
        raise CannotMint(f"the stored credential lacks {', '.join(lacks)}")
    return parts


def secrets_of(plain: str) -> tuple[Secret, ...]:
    """What an error of the endpoint may repeat."""
    parts = document(plain) or {}
    return tuple(
        Secret(text) for name in ("client_secret", "refresh_token", "private_key") if (text := part(parts, name))
    )


def sign(request: Unsigned, key: str) -> Signed:
    """Add the bearer token."""
    return bearer.sign(request, key)
