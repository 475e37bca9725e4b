"""What the gateway writes for Converse is what botocore, AWS's own client, writes for the same conversation.

botocore reads each body with the published shapes of the service, finds no fault in it, and writes the same JSON again.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import pytest
from botocore.model import OperationModel, Shape
from botocore.serialize import create_serializer
from botocore.session import get_session
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.bedrock_converse.dialect import BEDROCK_CONVERSE
from providers.dialects.canon import Media, Message, Misfit, Request, Target, Text, Tool, ToolCall, ToolResult
from tests.any_request import REQUESTS
from tests.test_upstream_requests import CONVERSE_MODELS

SERVICE = get_session().get_service_model("bedrock-runtime")
MODEL = CONVERSE_MODELS[0]


def params(value: Any, shape: Shape) -> Any:
    """What a caller of botocore gives where this JSON is sent: bytes where it holds base64."""
    match shape.type_name:
        case "blob":
            return base64.b64decode(value, validate=True)
        case "structure" if not getattr(shape, "is_document_type", False):
            return {
                name: params(each, shape.members[name]) for name, each in value.items() if name in shape.members
            } | {name: each for name, each in value.items() if name not in shape.members}
        case "list":
            return [params(each, shape.member) for each in value]
        case "map":
            return {name: params(each, shape.value) for name, each in value.items()}
    return value


def rewritten(body: dict[str, Any], model: str, operation: OperationModel) -> tuple[str, Any]:
    """The path and the JSON that botocore sends."""
    shape = operation.input_shape
    given_params = {"modelId": model, **params(body, shape)}
    report = ParamValidator().validate(given_params, shape)
    assert not report.has_errors(), report.generate_report()
    sent = create_serializer("rest-json").serialize_to_request(given_params, operation)
    return sent["url_path"], json.loads(sent["body"])


@pytest.mark.parametrize("name", ["Converse", "ConverseStream"])
def test_a_conversation_with_an_image_a_tool_and_its_result(name: str) -> None:
    tool = Tool("function", "weather", "Tells it.", {"type": "object", "properties": {"city": {"type": "string"}}})
    messages = (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("Where?"), Media("image", data="iVBORw0KGgo=", media_type="image/png"))),
        Message("assistant", (Text("I look."), ToolCall("call_1", "weather", '{"city":"Oslo"}'))),
        Message("tool", (ToolResult("call_1", (Text("rain"),)),)),
    )
    request = Request(dialect="openai_chat", messages=messages, tools=(tool,), max_tokens=300, temperature=0.5)
    body = BEDROCK_CONVERSE.upstream.write_request(request, Target(model=MODEL)).body
    assert [len(message["content"]) for message in body["messages"]] == [2, 2, 1]
    path, json_sent = rewritten(body, MODEL, SERVICE.operation_model(name))
    assert json_sent == body
    word = "converse-stream" if name == "ConverseStream" else "converse"
    assert path == f"/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/{word}"


def sayable(request: Request) -> bool:
    """Whether a client can say it: none speaks Converse itself, and system messages are texts."""
    system = [part for each in request.messages if each.role in ("system", "developer") for part in each.parts]
    return BEDROCK_CONVERSE.name not in repr(request) and all(
        isinstance(part, Text) and not part.citations for part in system
    )


@settings(max_examples=80, deadline=None)
@given(REQUESTS.filter(sayable), st.sampled_from(CONVERSE_MODELS))
def test_any_request(request: Request, model: str) -> None:
    try:
        body = BEDROCK_CONVERSE.upstream.write_request(request, Target(model=model)).body
        params(body, SERVICE.operation_model("Converse").input_shape)
    except (Misfit, binascii.Error):  # not for this upstream, or no base64 from the client
        return
    assert rewritten(body, model, SERVICE.operation_model("Converse"))[1] == body
