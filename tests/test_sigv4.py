"""AWS Signature Version 4 (R-12, A-15, C-24): against AWS's published vectors, botocore itself and a second opinion.

The second opinion is the specification written down below in plain hashlib. It has to give the signatures that AWS
publishes for its test suite; then our signer has to agree with it on any request.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import json
from urllib.parse import quote, unquote, urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from providers import transport
from providers.credentials import CannotSign, Unsigned, sign, sigv4
from providers.entries import Variable
from providers.exchange import Call, Outgoing
from providers.secrets import Secret
from tests.issuers import issuer
from tests.test_hosts import provider

ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PAIR = json.dumps({"access_key_id": ACCESS, "secret_access_key": SECRET})
SESSION = json.dumps({"access_key_id": ACCESS, "secret_access_key": SECRET, "session_token": "session+token/=="})
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"
CONVERSE = f"{HOST}/model/anthropic.claude-3-sonnet-20240229-v1%3A0/converse"
BEDROCK = provider(slug="amazon-bedrock", credential="sigv4", variables=(Variable("region", (), "us-east-1"),))
#: 21 November 2026, 03:04:05 UTC
NOW = 1_795_230_245.0


def specified(
    method: str, url: str, headers: dict[str, str], body: bytes, region: str, service: str, stamp: str
) -> str:
    """The signature as the specification has it: every path segment encoded once more, the query sorted."""
    parts = urlsplit(url)
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    pairs = [pair.partition("=")[::2] for pair in parts.query.split("&") if pair]
    encoded = sorted((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")) for name, value in pairs)
    canonical = "\n".join(
        (
            method,
            quote(parts.path or "/", safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in encoded),
            "".join(f"{name}:{signed[name]}\n" for name in sorted(signed)),
            ";".join(sorted(signed)),
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{SECRET}".encode()
    for step in (*scope.split("/"), to_sign):
        key = hmac.digest(key, step.encode(), "sha256")
    return key.hex()


@pytest.mark.parametrize(
    ("method", "url", "headers", "signature"),
    [
        ("GET", "/", {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", {}, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case"],
)
def test_the_second_opinion_gives_the_published_signatures(method, url, headers, signature):
    stamp = "20150830T123600Z"
    headers = {"host": "example.amazonaws.com", "x-amz-date": stamp, **headers}
    found = specified(method, f"https://example.amazonaws.com{url}", headers, b"", "us-east-1", "service", stamp)
    assert found == signature


def request(url: str = CONVERSE, body: bytes = b'{"messages":[]}', **more) -> Unsigned:
    headers = [("content-type", "application/json"), ("accept", "*/*"), ("via", "1.1 jackfield")]
    given = {"method": "POST", "headers": headers, "variables": {"region": "us-east-1"}, **more}
    return Unsigned(BEDROCK, url=url, body=body, **given)


def added(subject: Unsigned, key: str, now: float = NOW) -> dict[str, str]:
    signed = sigv4.sign(subject, key, lambda: now)
    assert signed.url == subject.url and signed.headers[: len(subject.headers)] == subject.headers
    return {name.lower(): value for name, value in signed.headers[len(subject.headers) :]}


def test_what_is_sent_is_this_to_the_letter():
    found = added(request(), SESSION)
    assert found == {
        "x-amz-date": "20261121T030405Z",
        "x-amz-content-sha256": hashlib.sha256(b'{"messages":[]}').hexdigest(),
        "x-amz-security-token": "session+token/==",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-east-1/bedrock/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "
        "Signature=c4da75f47abbdcebfbea45ed6eda8eb4be5f34775a679b82d0c137459f04e05e",
    }
    assert "x-amz-security-token" not in added(request(), PAIR)


segments = st.lists(st.text("abcXYZ019-_.~:!$'()*+,;@ é", min_size=1, max_size=12), min_size=1, max_size=4)


@given(
    path=segments,
    query=st.dictionaries(st.text("abZ9-~", min_size=1, max_size=4), st.text("a b+/=é~", max_size=6), max_size=3),
    body=st.binary(max_size=200),
    key=st.sampled_from([PAIR, SESSION]),
    region=st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1", "ap-southeast-5"]),
    now=st.integers(0, 4_000_000_000),
)
def test_our_signer_agrees_on_any_request(path, query, body, key, region, now):
    path = [part for part in path if part not in (".", "..")]
    asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    url = f"https://bedrock-runtime.{region}.amazonaws.com/model/" + "/".join(quote(part, safe="") for part in path)
    url += f"?{asked}" if asked else ""
    found = added(request(url, body), key, now)
    stamp = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": urlsplit(url).netloc, "content-type": "application/json", **found}
    said = headers.pop("authorization")
    assert found["x-amz-date"] == stamp
    assert said.rpartition("=")[2] == specified("POST", url, headers, body, region, "bedrock", stamp)
    assert f"SignedHeaders={';'.join(sorted(headers))}," in said


@pytest.mark.parametrize("key", [PAIR, SESSION])
@pytest.mark.parametrize("url", [CONVERSE, f"{HOST}/model/a%2Fb/converse-stream", f"{HOST}/x?b=2&a=1"])
def test_botocore_itself_signs_the_same(monkeypatch, key, url):
    found = added(request(url), key)
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    monkeypatch.setattr(auth, "get_current_datetime", lambda **_: moment)
    theirs = AWSRequest(
        "POST",
        url,
        headers={"content-type": "application/json", "X-Amz-Content-SHA256": found["x-amz-content-sha256"]},
        data=b'{"messages":[]}',
    )
    auth.SigV4Auth(Credentials(ACCESS, SECRET, json.loads(key).get("session_token")), "bedrock", "us-east-1").add_auth(
        theirs
    )
    assert theirs.headers["Authorization"] == found["authorization"]
    assert theirs.headers["X-Amz-Date"] == found["x-amz-date"]


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.eu-west-3.amazonaws.com", "eu-west-3"),
        ("bedrock-runtime-fips.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
        ("vpce-0a1b-2c3d.bedrock-runtime.eu-north-1.vpce.amazonaws.com", "eu-north-1"),
        ("bedrock-runtime.us-west-2.api.aws", "us-west-2"),
        ("bedrock.proxy.example", "ap-south-2"),
        ("bedrock-runtime.eu-west-3.amazonaws.com.evil.example", "ap-south-2"),
    ],
)
def test_the_host_says_the_region_where_it_is_awss_else_the_account(host, region):
    assert sigv4.region_of(request(f"https://{host}/model/m/converse", variables={"region": "ap-south-2"})) == region


@pytest.mark.parametrize("region", ["us-east-1\r\nX-Evil: 1", "us east", "us-east-1/s3", "é"])
def test_what_is_no_region_is_not_signed_with(region):
    with pytest.raises(CannotSign, match="region"):
        sign(request("https://proxy.example/model/m/converse", variables={"region": region}), Secret(PAIR))


def test_without_any_region_nothing_is_signed():
    with pytest.raises(CannotSign, match="region"):
        sign(request("https://proxy.example/model/m/converse", variables={}), Secret(PAIR))


def test_a15_a_key_that_is_one_text_is_a_bearer_token():
    assert added(request(), "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl") == {
        "authorization": "Bearer ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl"
    }


def test_a_document_over_several_lines_is_one_credential():
    subject = request()
    found = sign(subject, Secret(json.dumps(json.loads(PAIR), indent=2))).headers
    assert len(found) == len(subject.headers) + 3


@pytest.mark.parametrize(
    "key",
    [
        "{",
        '{"access_key_id": "AKIDEXAMPLE"}',
        '{"secret_access_key": "canary-secret-part"}',
        '{"access_key_id": "AKID\\r\\nX-Evil: 1", "secret_access_key": "canary-secret-part"}',
        '{"access_key_id": "AKID", "secret_access_key": "canary-secret-part", "session_token": "a\\nb"}',
        '{"access_key_id": 7, "secret_access_key": "canary-secret-part"}',
        '{"access_key_id": "canary-secret-part"',
    ],
)
def test_a_credential_that_lacks_a_part_or_fits_no_header_is_refused_unseen(key):
    with pytest.raises(CannotSign) as caught:
        sign(request(), Secret(key))
    assert "canary" not in str(caught.value) and "AKID" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_arrives_is_what_was_signed():
    """The transport changes nothing of it: path, query, host, content type and body are as they were signed."""
    with issuer() as upstream:
        url = f"{upstream.url}/model/a%2Fb%3A0/converse?x=b%2Fc&a=1"
        signed = sigv4.sign(request(url, '{"é": 1}'.encode()), SESSION, lambda: NOW)
        sent = Outgoing("POST", *signed, '{"é": 1}'.encode(), Call(private_network=True))

        async def go() -> None:
            await (await transport.current().handle_async_request(sent)).aread()
            await transport.aclose()

        asyncio.run(go())
        ((method, path, headers, body),) = upstream.requests
    arrived = {name.lower(): value for name, value in headers.items()}
    said = arrived["authorization"]
    names = said.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    held = {name: arrived[name] for name in names}
    stamp = arrived["x-amz-date"]
    found = specified(method, f"{upstream.url}{path}", held, body, "us-east-1", "bedrock", stamp)
    assert said.rpartition("=")[2] == found


def test_nothing_of_the_credential_is_logged(caplog):
    caplog.set_level("DEBUG")
    added(request(), SESSION)
    assert SECRET not in caplog.text and "session+token" not in caplog.text
