"""Stored secrets exchanged for access tokens: what is sent, how it is read, where it may go (R-13, C-25, C-26)."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, parse_qsl

import pytest
import responses
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from providers.credentials import CannotSign, Unsigned, copilot, is_exchanged, oauth2_client, sign
from providers.credentials.request import CannotMint
from providers.minting import mint
from providers.secrets import Secret
from tests.issuers import (
    CLIENT_SECRET,
    GITHUB_TOKEN,
    REFRESH_TOKEN,
    Issuer,
    authorized_user,
    issuer,
    service_account,
    service_key,
    split_values,
)
from tests.test_hosts import provider

GOOGLE = "https://oauth2.googleapis.com/token"
#: 21 November 2026, 03:04:05 UTC
NOW = 1_795_230_245.0


@pytest.fixture
def local() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


def minted(scheme: str, plain: str, private: bool = True):
    return mint(scheme, Secret(plain), private=private, clock=lambda: NOW)


def headers_of(scheme: str, key: str, **variables: str) -> dict[str, str]:
    signed = sign(Unsigned(provider(credential=scheme), "POST", "https://a.example/x", [], b"", variables), Secret(key))
    return dict(signed.headers)


class TestSap:
    @pytest.mark.parametrize("spelling", ["service key", "host with a slash", "whole url", "split"])
    def test_r13_c25_form_post_to_the_token_url(self, local, spelling):
        local.answer("/oauth/token", {"access_token": "sap-token", "token_type": "bearer", "expires_in": 43199})
        plain = {
            "service key": service_key(local.url),
            "host with a slash": service_key(f"{local.url}/"),
            "whole url": service_key(f"{local.url}/oauth/token"),
            "split": split_values(f"{local.url}/oauth/token"),
        }[spelling]
        grant = minted("oauth2-client", plain)
        assert (grant.token.reveal(), grant.expires_at, grant.api) == ("sap-token", NOW + 43199, "")
        ((method, path, headers, body),) = local.requests
        assert (method, path) == ("POST", "/oauth/token")
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        assert headers["Host"] == local.url.removeprefix("http://")
        sent = {"grant_type": "client_credentials", "client_id": "sb-client!b1", "client_secret": CLIENT_SECRET}
        assert dict(parse_qsl(body.decode())) == sent

    def test_the_resource_group_goes_with_every_request(self):
        assert headers_of("oauth2-client", "t")["AI-Resource-Group"] == "default"
        found = headers_of("oauth2-client", "t", resource_group="team-a")
        assert found == {"Authorization": "Bearer t", "AI-Resource-Group": "team-a"}

    @pytest.mark.parametrize("group", ["a\r\nX-Evil: 1", "gruppe-ä"])
    def test_a_group_that_fits_no_header_is_refused(self, group):
        with pytest.raises(CannotSign, match="resource_group"):
            headers_of("oauth2-client", "t", resource_group=group)

    @pytest.mark.parametrize(
        ("plain", "why"),
        [
            ("just-text", "no JSON object"),
            ("{broken", "not a JSON object"),
            ('{"clientid": "a", "url": "https://t.example"}', "lacks client_secret$"),
            ('{"client_id": "a", "client_secret": "canary"}', "lacks token_url$"),
        ],
    )
    def test_a_credential_that_lacks_a_part(self, plain, why):
        with pytest.raises(CannotMint, match=why) as caught:
            minted("oauth2-client", plain)
        assert "canary" not in str(caught.value)

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"null", b"<html>", b"{}", b'{"access_token": ""}', b'{"access_token": "a\\r\\nb: c"}']
    )
    def test_c25_an_answer_without_a_token_is_an_error(self, local, body):
        local.answer("/oauth/token", body)
        with pytest.raises(CannotMint):
            minted("oauth2-client", service_key(local.url))

    @pytest.mark.parametrize(
        ("said", "lives"),
        [(60, 60), ("3600", 3600), (None, 600), ("soon", 600), (-5, 600), (float("nan"), 600), (10**12, 7 * 86400)],
    )
    def test_a_life_that_others_wrote(self, said, lives):
        body = json.dumps({"access_token": "t", "expires_in": said}).encode().replace(b"NaN", b'"nan"')
        assert oauth2_client.read(body, NOW).expires_at == NOW + lives

    def test_what_an_error_says_is_told_without_the_secret(self, local):
        basic = base64.b64encode(f"sb-client!b1:{CLIENT_SECRET}".encode()).decode()
        said = {"error": "invalid_client", "error_description": f"Bad {CLIENT_SECRET} in Basic {basic}"}
        local.answer("/oauth/token", said, 401)
        with pytest.raises(CannotMint, match=r"answered 401: .*invalid_client") as caught:
            minted("oauth2-client", service_key(local.url))
        assert CLIENT_SECRET not in str(caught.value) and basic[:24] not in str(caught.value)


class TestCopilot:
    def test_c26_the_github_token_for_a_copilot_token(self, local):
        answer = {
            "token": "tid=1;exp=2",
            "expires_at": int(NOW) + 1500,
            "endpoints": {"api": "https://api.ind.example"},
        }
        local.answer("/api/v3/copilot_internal/v2/token", answer)
        plain = json.dumps({"token": GITHUB_TOKEN, "api_url": f"{local.url}/api/v3"})
        grant = minted("copilot", plain)
        assert (grant.token.reveal(), grant.expires_at) == ("tid=1;exp=2", NOW + 1500)
        assert grant.api == "https://api.ind.example"
        ((method, _, headers, body),) = local.requests
        assert (method, body) == ("GET", b"")
        assert headers["Authorization"] == f"token {GITHUB_TOKEN}"
        assert headers["Editor-Version"] and headers["User-Agent"].startswith("GitHubCopilotChat/")
        assert headers["X-Github-Api-Version"]

    def test_the_exchange_is_at_github_unless_the_credential_says_another(self):
        asked = copilot.ask(GITHUB_TOKEN)
        assert (asked.method, asked.url) == ("GET", "https://api.github.com/copilot_internal/v2/token")
        assert GITHUB_TOKEN not in repr(asked)

    @pytest.mark.parametrize(
        ("answer", "api"),
        [
            (
                {"endpoints": {"api": "https://api.business.githubcopilot.com/"}},
                "https://api.business.githubcopilot.com",
            ),
            (
                {"token": "tid=1;proxy-ep=proxy.individual.githubcopilot.com;x=1"},
                "https://api.individual.githubcopilot.com",
            ),
            ({"endpoints": {"api": "http://plain.example"}}, ""),
            ({"endpoints": {"api": "https://user@evil.example"}}, ""),
            ({"endpoints": {"api": 7}}, ""),
            ({"endpoints": []}, ""),
            ({}, ""),
        ],
    )
    def test_where_requests_go(self, answer, api):
        body = json.dumps({"token": "tid=1", "expires_at": int(NOW) + 60, **answer}).encode()
        assert copilot.read(body, NOW).api == api

    @pytest.mark.parametrize(
        ("said", "ends"), [(NOW + 60, NOW + 60), ((NOW + 60) * 1000, NOW + 60), (None, NOW + 600), (True, NOW + 600)]
    )
    def test_when_it_ends(self, said, ends):
        assert copilot.read(json.dumps({"token": "t", "expires_at": said}).encode(), NOW).expires_at == ends

    def test_requests_name_the_integration(self):
        found = headers_of("copilot", "tid=1")
        assert found["Authorization"] == "Bearer tid=1"
        assert found["Copilot-Integration-Id"] and found["Editor-Version"]

    def test_a_refusal_is_told_without_the_token(self, local):
        local.answer("/copilot_internal/v2/token", {"message": f"{GITHUB_TOKEN} has no Copilot"}, 403)
        with pytest.raises(CannotMint, match="answered 403") as caught:
            minted("copilot", json.dumps({"token": GITHUB_TOKEN, "api_url": local.url}))
        assert GITHUB_TOKEN not in str(caught.value)


class TestGoogle:
    """google-auth's own requests, through our session; `responses` stands in for Google."""

    @pytest.fixture(autouse=True)
    def google(self) -> Iterator[responses.RequestsMock]:
        with responses.RequestsMock() as made:
            made.assert_all_requests_are_fired = False
            yield made

    def test_a_service_account_signs_an_assertion(self, google):
        google.post(GOOGLE, json={"access_token": "ya29.sa-token", "expires_in": 3599, "token_type": "Bearer"})
        plain = service_account()
        began = time.time()
        grant = minted("google-adc", plain, private=False)
        assert grant.token.reveal() == "ya29.sa-token" and grant.headers == ()
        assert began + 3590 <= grant.expires_at <= time.time() + 3600
        form = parse_qs(google.calls[0].request.body.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        head, claims, signature = form["assertion"][0].split(".")
        key = serialization.load_pem_private_key(json.loads(plain)["private_key"].encode(), None).public_key()
        pad = b"=="
        key.verify(
            base64.urlsafe_b64decode(signature.encode() + pad),
            f"{head}.{claims}".encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
        said = json.loads(base64.urlsafe_b64decode(claims.encode() + pad))
        assert (said["iss"], said["aud"]) == ("robot@p.iam.gserviceaccount.com", GOOGLE)
        assert said["scope"] == "https://www.googleapis.com/auth/cloud-platform"

    def test_a_signed_in_user_refreshes_at_google_whatever_the_file_says(self, google):
        google.post(GOOGLE, json={"access_token": "ya29.user-token", "expires_in": 3599})
        plain = authorized_user(token_uri="https://evil.example/token", quota_project_id="billing-project")
        grant = minted("google-adc", plain, private=False)
        assert grant.token.reveal() == "ya29.user-token"
        assert grant.headers == (("x-goog-user-project", "billing-project"),)
        form = parse_qs(google.calls[0].request.body.decode())
        assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], [REFRESH_TOKEN])

    @pytest.mark.parametrize("plain", [service_account(), authorized_user()], ids=["service", "user"])
    def test_a_refusal_is_told_without_a_secret(self, google, plain, caplog):
        caplog.set_level("DEBUG")
        parts = json.loads(plain)
        echoed = [parts[name][-90:-40] for name in ("private_key",) if name in parts] or [REFRESH_TOKEN, CLIENT_SECRET]
        google.post(GOOGLE, json={"error": "invalid_grant", "error_description": " of ".join(echoed)}, status=400)
        with pytest.raises(CannotMint, match="invalid_grant") as caught:
            minted("google-adc", plain, private=False)
        for shown, secret in itertools.product((str(caught.value), repr(caught.value), caplog.text), echoed):
            assert secret not in shown and "PRIVATE KEY" not in shown

    @pytest.mark.parametrize(
        "plain",
        [
            '{"type": "external_account", "credential_source": {"executable": {"command": "/bin/true"}}}',
            '{"type": "service_account"}',
            "{}",
            service_account(private_key="canary-no-key"),
            service_account(private_key="-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n"),
        ],
    )
    def test_what_cannot_be_exchanged_is_refused_before_anything_is_sent(self, google, plain):
        with pytest.raises(CannotMint) as caught:
            minted("google-adc", plain, private=False)
        assert "canary" not in str(caught.value) and not google.calls

    def test_r09_a_plain_key_is_sent_as_it_is(self):
        assert not is_exchanged("google-adc", Secret("ya29.plain"))
        assert is_exchanged("google-adc", Secret(service_account()))
        assert headers_of("google-adc", "ya29.plain") == {"Authorization": "Bearer ya29.plain"}


class TestGoogleLogin:
    """A person's sign-in, for Code Assist (M-22)."""

    @pytest.fixture(autouse=True)
    def google(self) -> Iterator[responses.RequestsMock]:
        with responses.RequestsMock() as made:
            made.assert_all_requests_are_fired = False
            yield made

    @pytest.mark.parametrize("kind", ["gcloud's file", "gemini-cli's with its client"])
    def test_the_documents_own_client_renews_at_google_and_no_project_is_named(self, google, kind):
        google.post(GOOGLE, json={"access_token": "ya29.user-token", "expires_in": 3599, "token_type": "Bearer"})
        known = {"client_id": "cid.apps.example", "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
        more = {"quota_project_id": "billing-project", "token_uri": "https://evil.example/token"}
        cached = {"access_token": "ya29.old", "scope": "a b", "token_type": "Bearer", "expiry_date": 1}
        plain = authorized_user(**more) if kind == "gcloud's file" else json.dumps({**known, **cached})
        grant = minted("google-login", plain, private=False)
        assert (grant.token.reveal(), grant.expires_at) == ("ya29.user-token", NOW + 3599)
        assert (grant.headers, grant.api, grant.renewed) == ((), "", None)
        (call,) = google.calls
        assert dict(parse_qsl(call.request.body.decode())) == {"grant_type": "refresh_token", **known}

    @pytest.mark.parametrize(
        ("plain", "why"),
        [
            ('{"refresh_token": "canary", "access_token": "canary"}', "lacks client_id, client_secret$"),
            (authorized_user(refresh_token=""), "lacks refresh_token$"),
            ('{"type": "service_account", "private_key": "canary"}', "no person's sign-in"),
            ("{broken", "not a JSON object"),
        ],
    )
    def test_what_cannot_be_exchanged_is_refused_before_anything_is_sent(self, google, plain, why):
        with pytest.raises(CannotMint, match=why) as caught:
            minted("google-login", plain, private=False)
        assert "canary" not in str(caught.value) and not google.calls

    def test_a_refusal_is_told_without_a_secret(self, google):
        said = {"error": "invalid_grant", "error_description": f"{REFRESH_TOKEN} of {CLIENT_SECRET}"}
        google.post(GOOGLE, json=said, status=400)
        with pytest.raises(CannotMint, match=r"answered 400: .*invalid_grant") as caught:
            minted("google-login", authorized_user(), private=False)
        assert REFRESH_TOKEN not in str(caught.value) and CLIENT_SECRET not in str(caught.value)

    def test_a_token_is_sent_as_it_is(self):
        assert not is_exchanged("google-login", Secret("ya29.plain"))
        assert is_exchanged("google-login", Secret(authorized_user()))
        assert headers_of("google-login", "ya29.plain") == {"Authorization": "Bearer ya29.plain"}
