"""Bedrock's lists of models: asked for at AWS's control plane, signed or by a Bedrock API key, in AWS's own shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import httpx
import pytest

from providers import transport
from providers.model_lists import Source, list_url
from routing.build import build
from routing.syncing import Found, sync
from tests.test_sigv4 import ACCESS, PAIR, specified

pytestmark = pytest.mark.django_db

CONTROL = "https://bedrock.eu-west-1.amazonaws.com"
API_KEY = "bedrock-api-key-Zm9vYmFy"
MODELS = {
    "modelSummaries": [
        {
            "modelArn": f"arn:aws:bedrock:eu-west-1::foundation-model/{name}",
            "modelId": name,
            "modelName": "A name for people",
            "providerName": "Somebody",
            "inputModalities": ["TEXT", "IMAGE"],
            "outputModalities": ["TEXT"],
            "responseStreamingSupported": True,
            "customizationsSupported": [],
            "inferenceTypesSupported": ways,
            "modelLifecycle": {"status": "ACTIVE"},
        }
        for name, ways in (
            ("amazon.nova-lite-v1:0", ["ON_DEMAND"]),
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", ["INFERENCE_PROFILE"]),
            ("anthropic.claude-3-haiku-20240307-v1:0:48k", ["PROVISIONED"]),
        )
    ]
}
PROFILES = {
    "inferenceProfileSummaries": [
        {
            "inferenceProfileName": "EU somebody's model",
            "inferenceProfileArn": "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude",
            "inferenceProfileId": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "models": [{"modelArn": "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude"}],
            "status": "ACTIVE",
            "type": "SYSTEM_DEFINED",
        }
    ]
}
LISTED = (
    "amazon.nova-lite-v1:0",
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
)


class Aws:
    """What would go to AWS, and what it says by path."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {
            "/foundation-models": (200, MODELS),
            "/inference-profiles": (200, PROFILES),
        }
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        status, body = self.answers[request.url.path.removeprefix("/proxy")]
        return httpx.Response(status, json=body)


@pytest.fixture
def aws() -> Iterator[Aws]:
    made = Aws()
    transport.install(httpx.MockTransport(made))
    yield made
    transport.install(None)


def account(world: Any, key: str, base: str = "") -> Any:
    provider = world.provider(
        "amazon-bedrock",
        family="bedrock-converse",
        credential="sigv4",
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        variables=[{"name": "region", "env": [], "default": "us-east-1"}],
    )
    return world.account("rock", base, provider=provider, keys=(key,), variables={"region": "eu-west-1"})


def one() -> Found:
    (found,) = sync(build())
    return found


def test_both_lists_are_asked_for_and_signed_for_the_control_plane(world: Any, aws: Aws) -> None:
    rock = account(world, PAIR)
    world.model("nova", (rock, "amazon.nova-lite-v1:0"))
    world.model("old", (rock, "anthropic.claude-v2"))
    world.model("own", (rock, "arn:aws:bedrock:eu-west-1:123456789012:provisioned-model/abc"))
    found = one()
    assert (found.state, found.why, found.listed) == ("listed", "", LISTED)
    assert found.new == LISTED[1:]
    assert [(gone.public, gone.upstream) for gone in found.vanished] == [("old", "anthropic.claude-v2")]
    urls = [str(request.url) for request in aws.asked]
    assert urls == [f"{CONTROL}/foundation-models", f"{CONTROL}/inference-profiles?maxResults=1000"]
    for request in aws.asked:
        said = request.headers["authorization"]
        assert f"Credential={ACCESS}/" in said and "/eu-west-1/bedrock/aws4_request" in said
        names = re.findall(r"SignedHeaders=([^,]+)", said)[0].split(";")
        signed = {name: request.headers[name] for name in names}
        stamp = request.headers["x-amz-date"]
        wanted = specified("GET", str(request.url), signed, b"", "eu-west-1", "bedrock", stamp)
        assert "host" in names and said.endswith(f"Signature={wanted}")


def test_a_bedrock_api_key_is_a_bearer(world: Any, aws: Aws) -> None:
    account(world, API_KEY)
    assert one().listed == LISTED
    assert {request.headers["authorization"] for request in aws.asked} == {f"Bearer {API_KEY}"}


def test_a_list_that_goes_on_or_is_refused_says_nothing_is_gone(world: Any, aws: Aws) -> None:
    """Half of what there is decides nothing."""
    world.model("old", (account(world, PAIR), "anthropic.claude-v2"))
    aws.answers["/inference-profiles"] = (200, {**PROFILES, "nextToken": "more"})
    found = one()
    assert found.state == "listed" and not found.whole and not found.vanished
    aws.answers["/inference-profiles"] = (403, {"message": "User is not authorized to perform this"})
    found = one()
    assert (found.state, found.why, found.vanished) == ("failed", "it answered 403", ())


@pytest.mark.parametrize(
    "host", ["bedrock-runtime.eu-west-1.amazonaws.com.evil.example", "not-bedrock-runtime.eu-west-1.amazonaws.com"]
)
def test_a_key_goes_to_awss_own_hosts_or_to_its_own(world: Any, aws: Aws, host: str) -> None:
    """Only of AWS's host is there a sibling; any other place is asked itself."""
    account(world, API_KEY, f"https://{host}/proxy")
    one()
    assert {(request.url.host, request.url.path) for request in aws.asked} == {(host, "/proxy/foundation-models")} | {
        (host, "/proxy/inference-profiles")
    }


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "cn-north-1", "eu-west-1"])
@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("dual", [False, True])
def test_botocore_asks_at_the_same_places(region: str, fips: bool, dual: bool) -> None:
    """Its own rules for the two services' hosts, and its model's paths and members."""
    session = botocore.session.get_session()
    config = botocore.config.Config(use_fips_endpoint=fips, use_dualstack_endpoint=dual)

    def made(service: str) -> Any:
        return session.create_client(service, region, aws_access_key_id="a", aws_secret_access_key="b", config=config)

    control, runtime = made("bedrock"), made("bedrock-runtime").meta.endpoint_url
    model = control.meta.service_model
    for name, rows, ids in (
        ("ListFoundationModels", "modelSummaries", {"modelId", "inferenceTypesSupported"}),
        ("ListInferenceProfiles", "inferenceProfileSummaries", {"inferenceProfileId"}),
    ):
        operation = model.operation_model(name)
        source = Source(operation.http["requestUri"], control=True)
        assert list_url(runtime, "bedrock-converse", source) == control.meta.endpoint_url + source.path
        assert operation.http["method"] == "GET"
        assert ids <= operation.output_shape.members[rows].member.members.keys()
    query = model.operation_model("ListInferenceProfiles").input_shape.members["maxResults"]
    assert (query.serialization["location"], query.metadata["max"]) == ("querystring", 1000)
    for given, rows in ((MODELS, "ListFoundationModels"), (PROFILES, "ListInferenceProfiles")):
        (name,) = given
        shape = model.operation_model(rows).output_shape.members[name].member
        for row in given[name]:
            assert row.keys() <= shape.members.keys() and set(shape.required_members) <= row.keys(), json.dumps(row)
