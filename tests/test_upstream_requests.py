"""Every request that the hub allows: an upstream's dialect writes it, or says why not."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.bedrock_converse.dialect import BEDROCK_CONVERSE
from providers.dialects.canon import Misfit, Request, Target
from providers.dialects.cohere_chat.dialect import COHERE_CHAT
from tests.any_request import REQUESTS

CONVERSE_MODELS = [
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "anthropic.claude-opus-4-8",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "mistral.mistral-large-2407-v1:0",
    "meta.llama3-1-8b-instruct-v1:0",
    "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
]


@settings(max_examples=150, deadline=None)
@given(REQUESTS, st.sampled_from(CONVERSE_MODELS))
def test_converse(request: Request, model: str) -> None:
    try:
        body = BEDROCK_CONVERSE.upstream.write_request(request, Target(model=model)).body
    except Misfit as problem:
        assert problem.message
        return
    json.dumps(body)
    roles = [message["role"] for message in body["messages"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))
    assert all(message["content"] for message in body["messages"])


@settings(max_examples=150, deadline=None)
@given(REQUESTS, st.sampled_from(["command-a-03-2025", "command-a-reasoning-08-2025"]))
def test_cohere(request: Request, model: str) -> None:
    try:
        body = COHERE_CHAT.upstream.write_request(request, Target(model=model)).body
    except Misfit as problem:
        assert problem.message
        return
    json.dumps(body)
