"""AWS Signature Version 4 by botocore's signer, or a Bedrock API key as bearer. Pure: the clock is an argument.

A stored key that begins with `{` is a JSON object of `access_key_id`, `secret_access_key` and, for temporary
credentials, `session_token`, as the import from the environment joins AWS's variables. Any other key is a Bedrock API
key (AWS_BEARER_TOKEN_BEDROCK), sent as bearer. Signed are the host, the content type and AWS's own headers: what lies
between may change the others.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import Final

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from providers.credentials import bearer
from providers.credentials.request import CannotMint, CannotSign, Headers, Signed, Unsigned, document, fits, part

SERVICE: Final = "bedrock"
#: The region in AWS's own host names: bedrock-runtime.eu-west-1.amazonaws.com, also of FIPS and private endpoints.
_REGION_OF_HOST: Final = re.compile(
    r"//(?:[a-z0-9-]+\.)?bedrock[a-z-]*\.([a-z]{2,}(?:-[a-z]+)+-[0-9]+)\.(?:vpce\.)?"
    r"(?:amazonaws\.com(?:\.cn)?|api\.aws)(?=[:/?#]|\Z)"
)
_REGION: Final = re.compile(r"[a-z0-9-]+")
_SIGNED: Final = frozenset({"content-type"})


def sign(request: Unsigned, key: str, clock: Callable[[], float] = time.time) -> Signed:
    """Add the signature's headers. Raises CannotSign."""
    try:
        parts = document(key)
    except CannotMint as problem:
        raise CannotSign(str(problem)) from None
    if parts is None:
        return bearer.sign(request, key)
    access, secret, session = (part(parts, name) for name in ("access_key_id", "secret_access_key", "session_token"))
    if not access or not secret:
        raise CannotSign("the stored AWS credential lacks access_key_id or secret_access_key")
    if not all(fits(text) for text in (access, secret, session) if text):
        raise CannotSign("the stored AWS credential holds characters that no header may carry")
    added = _signature(request, Credentials(access, secret, session or None), clock())
    return Signed(request.url, [*request.headers, *added])


def region_of(request: Unsigned) -> str:
    """The region of the host that is called, where it is AWS's own; else the account's. Raises CannotSign."""
    found = _REGION_OF_HOST.search(request.url)
    region = found[1] if found else request.variables.get("region", "").strip()
    if not _REGION.fullmatch(region):
        raise CannotSign("no AWS region: set the account's variable 'region', as in eu-west-1")
    return region


def _signature(request: Unsigned, credentials: Credentials, now: float) -> Headers:
    """botocore's steps, one by one, since its own order reads the clock of the machine."""
    added: Headers = [
        ("X-Amz-Date", time.strftime(SIGV4_TIMESTAMP, time.gmtime(now))),
        ("X-Amz-Content-SHA256", hashlib.sha256(request.body).hexdigest()),
    ]
    if credentials.token:
        added.append(("X-Amz-Security-Token", credentials.token))
    headers = dict(added)
    headers.update((name, value) for name, value in request.headers if name.lower() in _SIGNED)
    subject = AWSRequest(method=request.method, url=request.url, headers=headers, data=request.body)
    subject.context["timestamp"] = headers["X-Amz-Date"]
    signer = SigV4Auth(credentials, SERVICE, region_of(request))
    signature = signer.signature(signer.string_to_sign(subject, signer.canonical_request(subject)), subject)
    names = signer.signed_headers(signer.headers_to_sign(subject))
    said = f"AWS4-HMAC-SHA256 Credential={signer.scope(subject)}, SignedHeaders={names}, Signature={signature}"
    return [*added, ("Authorization", said)]
