"""Stored secrets exchanged for access tokens: the only input and output of it. Blocking: for threads, never a request.

What is sent and how it is read is in `providers.credentials`, one file per scheme; of Google both are google-auth's.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import requests
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request as GoogleRequest
from google.oauth2.credentials import Credentials as AuthorizedUser
from google.oauth2.service_account import Credentials as ServiceAccount
from urllib3.exceptions import HTTPError

from providers.credentials import copilot, device_code, google_adc, google_login, oauth2_client
from providers.credentials.request import LIFE_UNSAID, CannotMint, Exchange, Grant, fits, part
from providers.requesting import NotAllowed, Session
from providers.scrubbing import scrub
from providers.secrets import Secret

#: Characters of an issuer's own words that are kept.
_MOST_SAID: Final = 200


class NoAnswer(CannotMint):
    """The issuer could not be reached, or said nothing in time."""


class _Scheme(Protocol):
    def ask(self, plain: str) -> Exchange: ...
    def read(self, body: bytes, now: float) -> Grant: ...
    def secrets_of(self, plain: str) -> tuple[Secret, ...]: ...


_SCHEMES: Final[dict[str, _Scheme]] = {
    "oauth2-client": oauth2_client,
    "google-login": google_login,
    "copilot": copilot,
}


def mint(
    scheme: str,
    secret: Secret,
    *,
    private: bool,
    clock: Callable[[], float] = time.time,
    refused: Secret | None = None,
) -> Grant:
    """An access token for this stored secret. Raises CannotMint, whose text holds no secret.

    `private`: the account may reach private networks, plain HTTP and other ports. `refused`: a token that an upstream
    no longer takes, which is not given again although it has not ended.
    """
    plain = secret.reveal()
    now = clock()  # before anything is sent: a token is never taken to live longer than it does
    with _asking(private) as session:
        if scheme == "google-adc":
            return _google(plain, session, now)
        if scheme == "device-code":
            return _renewed(plain, session, now, refused)
        return _exchange(_SCHEMES[scheme], plain, session, now)


def send(asked: Exchange, *, private: bool) -> tuple[int, bytes]:
    """Status and body of one message of a sign-in. Raises CannotMint, NoAnswer among them; no text holds a secret."""
    with _asking(private) as session:
        answer = _sent(asked, session)
        return answer.status_code, answer.content


@contextmanager
def _asking(private: bool) -> Iterator[Session]:
    """A session whose failures are CannotMint."""
    with Session(private=private) as session:
        try:
            yield session
        except NotAllowed as problem:
            raise CannotMint(f"the token endpoint: {problem}") from None
        except (requests.RequestException, HTTPError, OSError) as problem:
            raise NoAnswer(f"the token endpoint did not answer ({type(problem).__name__})") from None


def _sent(asked: Exchange, session: Session) -> requests.Response:
    return session.request(
        asked.method, asked.url, headers=asked.headers, data=asked.body or None, allow_redirects=False
    )


def _exchange(scheme: _Scheme, plain: str, session: Session, now: float) -> Grant:
    return scheme.read(_body(_sent(scheme.ask(plain), session), plain, scheme.secrets_of(plain)), now)


def _renewed(plain: str, session: Session, now: float, refused: Secret | None) -> Grant:
    """A sign-in's token: the stored one while it lives and is taken, else a new pair, which is to be stored."""
    grant = device_code.held(plain)
    lives = grant is not None and grant.expires_at - now > device_code.RENEW_WITHIN
    if grant is not None and lives and (refused is None or grant.token.reveal() != refused.reveal()):
        return grant
    answer = _sent(device_code.ask(plain), session)
    return device_code.read(plain, _body(answer, plain, device_code.secrets_of(plain)), now)


def _body(answer: requests.Response, plain: str, secrets: tuple[Secret, ...]) -> bytes:
    if answer.status_code != 200:
        said = scrub(answer.text, (Secret(plain), *secrets), _MOST_SAID)
        raise CannotMint(f"the token endpoint answered {answer.status_code}: {said}")
    return answer.content


def _google(plain: str, session: Session, now: float) -> Grant:
    parts = google_adc.parts_of(plain)
    secrets = (Secret(plain), *google_adc.secrets_of(plain))
    try:
        credentials = _credentials(parts)
        credentials.refresh(GoogleRequest(session))
    except GoogleAuthError as problem:
        raise CannotMint(f"Google gave no token: {scrub(str(problem), secrets, _MOST_SAID)}") from None
    except (ValueError, TypeError):
        # Its text may quote the file.
        raise CannotMint("the key file cannot be read: its private key or another field is damaged") from None
    token = credentials.token
    if not isinstance(token, str) or not fits(token):
        raise CannotMint("Google's answer holds no token")
    expiry: Any = credentials.expiry
    expires_at = calendar.timegm(expiry.utctimetuple()) if expiry is not None else now + LIFE_UNSAID
    # Who signed in has no project of their own to be counted for.
    project = part(parts, "quota_project_id")
    headers = (("x-goog-user-project", project),) if fits(project) else ()
    return Grant(Secret(token), expires_at, headers=headers)


def _credentials(parts: dict[str, object]) -> Credentials:
    """google-auth's form of the two kinds of key file."""
    if parts["type"] == google_adc.SERVICE_ACCOUNT:
        made: Credentials = ServiceAccount.from_service_account_info(parts, scopes=list(google_adc.SCOPES))
    else:
        # The endpoint is Google's own, whatever the file says.
        made = AuthorizedUser.from_authorized_user_info(parts)
    return made
