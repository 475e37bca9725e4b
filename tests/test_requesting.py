"""The session that access tokens are fetched through keeps the transport's rules (R-NET-01 to 03, R-SEC-04)."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator

import pytest
import trustme

from providers import requesting
from providers.credentials.request import CannotMint
from providers.engine import shared_tls_context
from providers.minting import mint
from providers.requesting import NotAllowed, Session
from providers.secrets import Secret
from tests.issuers import CLIENT_SECRET, Issuer, issuer, service_account, service_key


@pytest.fixture
def local() -> Iterator[Issuer]:
    with issuer() as made:
        made.answer("/", {"here": True})
        yield made


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/computeMetadata/v1/token",
        "http://metadata.google.internal/token",
        "http://[fd00:ec2::254]/token",
        "https://100.100.100.200/",
        "ftp://a.example/",
        "https://user:secret@a.example/",
    ],
)
@pytest.mark.parametrize("private", [True, False])
def test_metadata_is_never_reached(url, private):
    with Session(private=private) as session, pytest.raises((NotAllowed, requesting.requests.RequestException)):
        session.post(url, data=b"secret")


def test_private_addresses_only_where_the_account_says_so(local):
    with Session(private=True) as session:
        assert session.get(f"{local.url}/").json() == {"here": True}
    for url in (f"{local.url}/", "https://127.0.0.1/", "https://10.0.0.1/", "http://a.example/"):
        with Session(private=False) as session, pytest.raises(NotAllowed):
            session.get(url)
    assert len(local.requests) == 1


@pytest.mark.parametrize(("addresses", "private"), [(["10.1.2.3"], False), (["169.254.169.254"], True)])
def test_a_name_is_judged_by_what_it_resolves_to(monkeypatch, addresses, private):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ["127.0.0.1", *addresses]]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found[not private :])
    with Session(private=private) as session, pytest.raises(NotAllowed, match="resolves to"):
        session.get("https://tokens.example/")


def test_the_checked_address_is_the_one_connected_to(local, monkeypatch):
    """A name that answers otherwise the second time leads nowhere: it is asked once."""
    port = int(local.url.rpartition(":")[2])
    asked = []
    real = socket.getaddrinfo

    def lookup(host, *rest, **more):
        asked.append(host)
        return real("127.0.0.1" if host == "tokens.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with Session(private=True) as session:
        assert session.get(f"http://tokens.example:{port}/").status_code == 200
    assert asked.count("tokens.example") == 1 and set(asked) <= {"tokens.example", "127.0.0.1"}
    assert local.requests[0][2]["Host"] == f"tokens.example:{port}"


def test_no_answer_leads_elsewhere(local):
    local.answer("/from", {}, 307)
    local.headers["location"] = f"{local.url}/"
    with Session(private=True) as session:
        assert session.post(f"{local.url}/from", data=b"secret").status_code == 307
    assert len(local.requests) == 1
    local.answer("/oauth/token", {}, 307)
    with pytest.raises(CannotMint, match="307"):
        mint("oauth2-client", Secret(service_key(local.url)), private=True)
    local.requests.clear()
    with pytest.raises(CannotMint):
        mint("google-adc", Secret(service_account(f"{local.url}/from")), private=True)
    assert {path for _, path, _, _ in local.requests} == {"/from"}


def test_a_large_answer_is_none(local):
    local.answer("/oauth/token", b'{"access_token": "' + b"x" * requesting.MOST + b'"}')
    with pytest.raises(CannotMint, match="larger"):
        mint("oauth2-client", Secret(service_key(local.url)), private=True)


def test_a_silent_issuer_is_given_up(local, monkeypatch):
    monkeypatch.setattr(requesting, "READ", 0.2)
    local.delay = 5.0
    began = time.monotonic()
    with pytest.raises(CannotMint, match="did not answer"):
        mint("oauth2-client", Secret(service_key(local.url)), private=True)
    assert time.monotonic() - began < 4.0


def test_the_environment_says_nothing_of_where_it_goes(local, monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Session(private=True) as session:
        session.get(f"{local.url}/")
    assert "Authorization" not in local.requests[0][2]


@pytest.mark.parametrize(("name", "good"), [("tokens.example", True), ("other.example", False), ("127.0.0.1", False)])
def test_tls_is_verified_by_the_name_not_the_address(monkeypatch, name, good):
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(server)
    authority.configure_trust(client)
    monkeypatch.setattr(requesting, "tls_context", lambda: client)
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    with issuer(server) as made, Session(private=True) as session:
        url = f"https://tokens.example:{made.url.rpartition(':')[2]}/"
        made.answer("/", {})
        if good:
            assert session.post(url).status_code == 200
        else:
            with pytest.raises(requesting.requests.exceptions.SSLError):
                session.post(url)
            assert not made.requests


def test_what_this_client_does_to_its_trust_reaches_no_upstream():
    """urllib3 checks names itself and switches the context's own check off; requests to upstreams rely on that."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server)
    refused = pytest.raises(requesting.requests.exceptions.SSLError)
    with issuer(server) as made, Session(private=True) as session, refused:
        session.post(made.url.replace("http:", "https:"))
    assert shared_tls_context().check_hostname
    assert shared_tls_context().verify_mode is ssl.CERT_REQUIRED


def test_an_authority_that_nobody_knows_is_not_trusted():
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server)
    with issuer(server) as made, Session(private=True) as session:
        with pytest.raises(requesting.requests.exceptions.SSLError):
            session.post(made.url.replace("http:", "https:"))
        assert not made.requests


def test_nobody_there(local):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CannotMint, match="did not answer") as caught:
            mint("oauth2-client", Secret(service_key(url)), private=True)
    assert CLIENT_SECRET not in str(caught.value)
