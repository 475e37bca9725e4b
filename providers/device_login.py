"""Signing in with a code, one message at a time: the input and output of it. Blocking, for half a minute at most.

The flows themselves are in `providers.credentials.device_flow` and its kin.
"""

from __future__ import annotations

import secrets
import time

from providers.credentials.device_flow import Flow, Pending
from providers.credentials.request import Exchange
from providers.minting import send
from providers.secrets import Secret


def begun(login: Flow) -> Pending:
    """A code for a person to enter. Raises CannotMint, NoAnswer among them."""
    verifier = secrets.token_urlsafe(48)
    return login.read_begin(*send(login.begin(verifier), private=False), time.time(), verifier)


def asked(login: Flow, pending: Pending) -> Secret:
    """What is to be stored as the key, if the person has answered. Raises NotYet; NoAnswer; CannotMint: it is over."""
    found = login.read(*send(login.ask(pending), private=False), time.time())
    if isinstance(found, Exchange):
        return login.read_last(*send(found, private=False), time.time())
    return found
