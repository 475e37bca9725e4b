"""How a key is put on a request: one file per scheme, chosen by the provider's `credential`. Pure.

Signing comes last, when URL, headers and body are final. A scheme that is known but has no signer here is in the
catalog and configurable; `sign` refuses it by name before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from providers.credentials import bearer, header_key, none, query_key
from providers.entries import ProviderEntry
from providers.secrets import Secret

Headers = list[tuple[str, str]]
Signer = Callable[[ProviderEntry, Headers, str, str], str]


class CannotSign(ValueError):
    """The request cannot be signed: the scheme has no signer, or the key is not fit for a header."""


#: scheme -> its signer; None: known, not built.
SCHEMES: Final[dict[str, Signer | None]] = {
    "bearer": bearer.sign,
    "header": header_key.sign,
    "query": query_key.sign,
    "none": none.sign,
    "sigv4": None,
    "oauth2-client": None,
    "google-adc": None,
    "device-code": None,
    "copilot": None,
}


def sign(provider: ProviderEntry, headers: Headers, url: str, secret: Secret | None) -> str:
    """Append the credential to `headers`, or to the URL; the URL to call is returned.

    Without a secret (a keyless provider) nothing is added. Raises CannotSign, which never holds the key.
    """
    signer = SCHEMES.get(provider.credential)
    if signer is None:
        raise CannotSign(f"no signer for the credential scheme '{provider.credential}'")
    if secret is None:
        return url
    plain = secret.reveal()
    if not plain or not plain.isascii() or not plain.isprintable() or plain != plain.strip():
        raise CannotSign(f"the key of provider '{provider.slug}' holds characters that no header may carry")
    return signer(provider, headers, url, plain)
