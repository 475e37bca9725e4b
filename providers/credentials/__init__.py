"""How a key is put on a request: one file per scheme, chosen by the provider's `credential`. Pure.

Signing comes last, when URL, headers and body are final. A scheme that is known but has no signer here is in the
catalog and configurable; `sign` refuses it by name before anything is sent. Of some schemes the stored secret itself
is never sent with a request: it is exchanged for an access token beforehand (`providers.minting`), which signs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from providers.credentials import (
    bearer,
    copilot,
    device_code,
    google_adc,
    google_login,
    header_key,
    none,
    oauth2_client,
    query_key,
    sigv4,
)
from providers.credentials.request import CannotSign, Grant, Headers, Signed, Unsigned, fits
from providers.secrets import Secret

__all__ = ("SCHEMES", "CannotSign", "Headers", "Signed", "Signer", "Unsigned", "held", "is_exchanged", "sign")

Signer = Callable[[Unsigned, str], Signed]

#: scheme -> its signer; None: known, not built.
SCHEMES: Final[dict[str, Signer | None]] = {
    "bearer": bearer.sign,
    "header": header_key.sign,
    "query": query_key.sign,
    "none": none.sign,
    "sigv4": sigv4.sign,
    "oauth2-client": oauth2_client.sign,
    "google-adc": google_adc.sign,
    "google-login": google_login.sign,
    "device-code": device_code.sign,
    "copilot": copilot.sign,
}
#: Schemes whose stored secret may be exchanged; of those that always are, True.
EXCHANGED: Final = {
    "google-adc": False,
    "google-login": False,
    "oauth2-client": True,
    "copilot": True,
    "device-code": True,
}


def is_exchanged(scheme: str, secret: Secret) -> bool:
    """Is this stored secret exchanged for an access token, which is sent in its place?"""
    always = EXCHANGED.get(scheme)
    return always is not None and (always or secret.reveal().startswith("{"))


def held(scheme: str, secret: Secret) -> Grant | None:
    """The access token that a stored secret holds itself, perhaps one that has ended."""
    return device_code.held(secret.reveal()) if scheme == "device-code" else None


def sign(request: Unsigned, secret: Secret | None) -> Signed:
    """The request with its credential in a header or the URL.

    Without a secret (a keyless provider) nothing is added. Raises CannotSign, which never holds the key.
    """
    scheme = request.provider.credential
    signer = SCHEMES.get(scheme)
    if signer is None:
        raise CannotSign(f"no signer for the credential scheme '{scheme}'")
    if secret is None:
        return Signed(request.url, request.headers)
    plain = secret.reveal()
    # A document of several parts is never sent; its signer looks at the parts.
    if not fits(plain) and not (scheme == "sigv4" and plain.startswith("{")):
        raise CannotSign(f"the key of provider '{request.provider.slug}' holds characters that no header may carry")
    return signer(request, plain)
