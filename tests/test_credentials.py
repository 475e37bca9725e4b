"""Secrets in memory, and how each scheme puts one on a request (X-06, M-19)."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from providers.credentials import SCHEMES, CannotSign, Signed, Unsigned, sign
from providers.secrets import Secret
from tests.test_hosts import provider

URL = "https://a.example/v1/chat/completions"


def signed(secret: Secret | None, url: str = URL, **fields) -> Signed:
    return sign(Unsigned(provider(**fields), "POST", url, [("accept", "*/*")], b"{}"), secret)


@pytest.mark.parametrize(
    ("scheme", "name", "headers", "url"),
    [
        ("bearer", "", [("Authorization", "Bearer k+/=1")], URL),
        ("bearer", "cf-aig-authorization", [("cf-aig-authorization", "Bearer k+/=1")], URL),
        ("header", "", [("x-api-key", "k+/=1")], URL),
        ("header", "api-key", [("api-key", "k+/=1")], URL),
        ("query", "", [], URL + "?key=k%2B%2F%3D1"),
        ("query", "token", [], URL + "?token=k%2B%2F%3D1"),
        ("none", "", [], URL),
    ],
)
def test_each_scheme(scheme, name, headers, url):
    found = signed(Secret("k+/=1"), credential=scheme, credential_name=name)
    assert found == (url, [("accept", "*/*"), *headers])


def test_a_query_string_is_continued():
    assert signed(Secret("k"), URL + "?a=1", credential="query").url == URL + "?a=1&key=k"


@pytest.mark.parametrize("scheme", [name for name, signer in SCHEMES.items() if signer is not None])
def test_without_a_secret_nothing_is_added(scheme):
    assert signed(None, credential=scheme) == (URL, [("accept", "*/*")])


@pytest.mark.parametrize("key", ["", "a\r\nX-Evil: 1", "a\nb", "a\x00b", "schlüssel", " padded ", "tab\t"])
@pytest.mark.parametrize("scheme", [name for name, signer in SCHEMES.items() if signer is not None])
def test_a_key_that_fits_no_header_is_refused_unseen(key, scheme):
    with pytest.raises(CannotSign) as caught:
        signed(Secret(key), credential=scheme)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("scheme", [name for name, signer in SCHEMES.items() if signer is None] + ["unheard-of"])
def test_a_scheme_without_a_signer_is_refused_by_name(scheme):
    with pytest.raises(CannotSign, match=scheme):
        signed(Secret("k"), credential=scheme)


def test_a_secret_does_not_leak(caplog):
    secret = Secret("canary-7")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", repr([secret])]
    shown.append("%s %r" % (secret, secret))  # noqa: UP031 - this way too
    logging.getLogger("x").warning("%s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        shown.append(traceback.format_exc())
    shown.append(caplog.text)
    assert not any("canary" in text for text in shown)


@pytest.mark.parametrize(
    "serialise",
    [json.dumps, pickle.dumps, copy.copy, copy.deepcopy, msgspec.json.encode, msgspec.msgpack.encode, vars, dict, list],
)
def test_a_secret_is_not_serialised(serialise):
    with pytest.raises(TypeError) as caught:
        serialise(Secret("canary-7"))
    assert "canary" not in str(caught.value)


def test_secrets_are_compared_by_identity_and_opened_by_reveal():
    secret = Secret("canary-7")
    assert secret == secret and secret != Secret("canary-7")
    assert secret.reveal() == "canary-7"
    assert secret and not Secret("")
