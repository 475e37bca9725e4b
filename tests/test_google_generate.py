"""Gemini's requests: what its SDKs send is understood, and what other clients ask for is said in its words."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from providers.dialects.canon import (
    Cache,
    Citation,
    Format,
    Media,
    Message,
    Misfit,
    Opaque,
    Reasoning,
    Request,
    Target,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from providers.dialects.google_generate.dialect import GOOGLE_GENERATE
from providers.dialects.google_generate.request import read_count, write_count

NAME = GOOGLE_GENERATE.name
read_request = GOOGLE_GENERATE.client.read_request
FLASH, RECENT = Target(model="gemini-2.5-flash"), Target(model="gemini-3.8-flash")
HI = [{"role": "user", "parts": [{"text": "hi"}]}]
ASKED = (Message("user", (Text("hi"),)),)


def write(request: Request, target: Target = FLASH) -> dict:
    return GOOGLE_GENERATE.upstream.write_request(request, target).body


def dropped(request: Request, target: Target = FLASH) -> set[str]:
    return set(GOOGLE_GENERATE.upstream.write_request(request, target).dropped)


def foreign(*messages: Message, **members: object) -> Request:
    return Request(dialect="openai_chat", messages=messages or ASKED, **members)


def again(body: dict, target: Target = FLASH) -> dict:
    return write(read_request(body), target)


# --- contents --------------------------------------------------------------------------------------------------------


def test_single_objects_snake_case_and_upper_case_roles_are_read():
    body = {
        "contents": {"role": "USER", "parts": {"inline_data": {"mime_type": "image/png", "data": "__79-w"}}},
        "system_instruction": {"parts": {"text": "be brief"}},
        "generation_config": {"max_output_tokens": "10", "topK": 40.0, "thinking_config": {"thinking_budget": 0}},
    }
    request = read_request(body)
    assert request.messages == (
        Message("system", (Text("be brief"),)),
        Message("user", (Media("image", data="//79+w==", media_type="image/png"),)),
    )
    assert (request.max_tokens, request.top_k, request.reasoning) == (10, 40, Reasoning(budget=0))
    assert request.model == ""


def test_calls_without_ids_get_some_and_their_responses_find_them():
    def call(name: str, **more: str) -> dict:
        return {"functionCall": {"name": name, "args": {}, **more}}

    def response(name: str, **more: str) -> dict:
        return {"functionResponse": {"name": name, "response": {"output": name}, **more}}

    body = {
        "contents": [
            *HI,
            {"role": "model", "parts": [call("a"), call("b"), call("a"), call("c", id="call_1")]},
            {"role": "function", "parts": [response("b"), response("a"), response("a"), response("c", id="call_1")]},
        ]
    }
    _, called, replied = read_request(body).messages
    assert [part.id for part in called.parts] == ["call_0", "call_2", "call_3", "call_1"]
    assert [part.call_id for part in replied.parts] == ["call_2", "call_0", "call_3", "call_1"]
    assert replied.role == "tool"
    assert read_request(body) == read_request(body)


def test_a_response_beside_words_becomes_two_messages_and_one_content_again():
    content = {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "f", "id": "x", "response": {"output": "done"}}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "mediaResolution": {"level": "LOW"}},
            {"text": "look"},
        ],
    }
    request = read_request({"contents": [content]})
    assert [message.role for message in request.messages] == ["tool", "user"]
    assert write(request)["contents"] == [content]


@pytest.mark.parametrize(
    "response", [{"output": "x"}, {"error": "x"}, {"result": 5}, {}, {"output": '{"a":1}'}, {"error": {"code": 1}}]
)
def test_responses_come_back_as_they_were(response):
    body = {"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]}]}
    result = read_request(body).messages[0].parts[0]
    assert result.failed is ("error" in response)
    assert again(body)["contents"][0]["parts"][0]["functionResponse"]["response"] == response


def test_thoughts_signatures_and_opaque_parts_stand_where_they_stood():
    parts = [
        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"text": "one", "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "f", "args": {"a": [1]}, "id": "1"}, "thoughtSignature": "c2ln"},
        {"thoughtSignature": "c2ln", "text": ""},
    ]
    body = {"contents": [*HI, {"role": "model", "parts": parts}]}
    assert again(body, RECENT)["contents"][1]["parts"] == parts
    assert read_request(body).messages[1].parts[0] == Thinking("hm", "c2ln", NAME)


def test_proofs_of_other_dialects_come_back_to_their_makers_and_not_to_gemini():
    frame = base64.b64encode(b"jf1:anthropic_messages::c2ln+/=").decode()
    body = {"contents": [*HI, {"role": "model", "parts": [{"text": "hm", "thought": True, "thoughtSignature": frame}]}]}
    request = read_request(body)
    assert request.messages[1].parts == (Thinking("hm", "c2ln+/=", "anthropic_messages"),)
    assert len(write(request)["contents"]) == 1
    assert dropped(request) == {"thinking"}


def test_all_system_messages_stand_before_the_conversation():
    request = foreign(
        Message("system", (Text("one"), Text(""))), *ASKED, Message("developer", (Text("two"),)), Message("user", ())
    )
    body = write(request)
    assert body["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}
    assert body["contents"] == HI
    assert write(foreign(Message("system", (Text("alone"),))))["contents"][0]["parts"] == [{"text": "alone"}]
    with pytest.raises(Misfit):
        write(foreign(Message("user", (Text(""),))))


def test_results_of_one_turn_stand_together_and_images_stay_images():
    image = Media("image", data="AAAA", media_type="image/png")
    request = foreign(
        *ASKED,
        Message("assistant", (ToolCall("1", "f", '{"a":1}'),)),
        Message("assistant", (ToolCall("2", "g", "not json"),)),
        Message("tool", (ToolResult("1", (Text("one"), image)),)),
        Message("tool", (ToolResult("2", (Text("two"),), failed=True),)),
    )
    _, called, replied = write(request)["contents"]
    assert called["parts"][1] == {"functionCall": {"name": "g", "args": {"input": "not json"}, "id": "2"}}
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    first = {"name": "f", "response": {"output": "one"}, "id": "1"}
    second = {"functionResponse": {"name": "g", "response": {"error": "two"}, "id": "2"}}
    assert replied == {"role": "user", "parts": [{"functionResponse": first}, inline, second]}
    _, called, replied = write(request, RECENT)["contents"]
    assert replied["parts"] == [{"functionResponse": {**first, "parts": [inline]}}, second]
    # Gemini 3 wants a proof for the first call of a turn: it gets the word that stands for a missing one.
    signed = [base64.b64decode(part["thoughtSignature"]) for part in called["parts"] if "thoughtSignature" in part]
    assert signed == [b"skip_thought_signature_validator"]


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (Media("image", url="https://a.b/c.PNG?x=1"), {"fileData": {"fileUri": "https://a.b/c.PNG?x=1"}}),
        (Media("video", url="https://youtu.be/x"), {"fileData": {"fileUri": "https://youtu.be/x"}}),
        (Media("image", url="data:image/gif;base64,AAAA"), {"inlineData": {"mimeType": "image/gif", "data": "AAAA"}}),
        (Media("document", text="words"), {"inlineData": {"mimeType": "text/plain", "data": "d29yZHM="}}),
        (Media("document", file_id="gs://b/c"), {"fileData": {"fileUri": "gs://b/c"}}),
        (
            Media("audio", data="AAAA", media_type="audio/wav"),
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        ),
    ],
)
def test_media(media, part):
    (made,) = write(foreign(Message("user", (media,))))["contents"][0]["parts"]
    made.get("fileData", {}).pop("mimeType", None)
    assert made == part


def test_files_of_other_providers_are_refused():
    with pytest.raises(Misfit) as caught:
        write(foreign(Message("user", (Media("document", file_id="file-abc"),))))
    assert caught.value.unsupported


def test_what_harmlessly_cannot_be_said_is_named():
    request = foreign(
        Message("user", (Text("hi", cache=Cache("5m")), Media("image", data="AA==", detail="high")), name="ann"),
        Message("assistant", (Thinking("hm", "s", "anthropic_messages"), Text("a", (Citation("u"),)))),
        Message("assistant", (Opaque("openai_responses", {"type": "web_search_call"}),)),
        *ASKED,
        min_p=0.1,
        logit_bias={"1": 1},
        user="u",
        seed=2**40,
        parallel_tools=False,
        presence_penalty=1.0,
        service_tier="flex",
        cache_key="k",
        store=True,
        extras={"prediction": {}, "stream_options": {}},
    )
    assert dropped(request) == {
        *("cache_control", "detail", "name", "thinking", "citations", "opaque:web_search_call", "min_p", "logit_bias"),
        *(
            "user",
            "seed",
            "parallel_tool_calls",
            "presence_penalty",
            "service_tier",
            "prompt_cache_key",
            "store",
            "prediction",
        ),
    }


# --- tools and settings ----------------------------------------------------------------------------------------------


def test_schemas_of_the_openapi_subset_become_json_schema():
    openapi = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "enum": ["a"], "max_length": "3"},
            "many": {"type": "ARRAY", "items": {"any_of": [{"type": "INTEGER"}, {"type": "NUMBER"}]}},
        },
        "property_ordering": ["type", "many"],
    }
    schema = {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["a", None], "maxLength": 3},
            "many": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "number"}]}},
        },
        "propertyOrdering": ["type", "many"],
    }
    body = {
        "contents": HI,
        "tools": [{"function_declarations": [{"name": "f", "parameters": openapi, "behavior": "BLOCKING"}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseSchema": openapi},
    }
    request = read_request(body)
    assert request.tools[0].parameters == schema
    assert request.format == Format(schema)
    written = write(request)
    declared = {"name": "f", "parametersJsonSchema": schema, "behavior": "BLOCKING"}
    assert written["tools"] == [{"functionDeclarations": [declared]}]
    assert written["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": schema}


def test_tools_of_the_provider():
    tools = [{"googleSearch": {"excludeDomains": ["a.b"]}}, {"url_context": {}, "codeExecution": {}}]
    request = read_request({"contents": HI, "tools": tools})
    assert [(tool.kind, tool.name) for tool in request.tools] == [
        ("web_search", "web_search"),
        ("opaque", "urlContext"),
        ("opaque", "codeExecution"),
    ]
    assert write(request)["tools"] == [
        {"googleSearch": {"excludeDomains": ["a.b"]}},
        {"urlContext": {}},
        {"codeExecution": {}},
    ]
    old = read_request({"contents": HI, "tools": [{"googleSearchRetrieval": {"dynamicRetrievalConfig": {}}}]})
    assert write(old)["tools"] == [{"googleSearch": {}}]
    with pytest.raises(Misfit) as caught:
        write(foreign(tools=(Tool("opaque", dialect="anthropic_messages", value={"type": "bash_20250124"}),)))
    assert caught.value.unsupported
    mixed = foreign(tools=(Tool("function", "f"), Tool("web_search")))
    assert write(mixed, RECENT)["toolConfig"] == {"includeServerSideToolInvocations": True}
    assert "toolConfig" not in write(mixed, msgspec.structs.replace(RECENT, family="google-vertex"))


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "ANY"}, ToolChoice("required")),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice("named", "f")),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ToolChoice("required", allowed=("f", "g"))),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": "VALIDATED"}, ToolChoice("auto")),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, ToolChoice("auto", allowed=("f",))),
    ],
)
def test_tool_choice(calling, choice):
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    request = read_request({"contents": HI, "tools": tools, "toolConfig": {"functionCallingConfig": calling}})
    assert request.tool_choice == choice
    assert write(request)["toolConfig"] == {"functionCallingConfig": calling}


def test_a_choice_that_cannot_be_forced_is_refused():
    for choice in (ToolChoice("named", "h"), ToolChoice("required")):
        with pytest.raises(Misfit) as caught:
            write(foreign(tools=(Tool("web_search"),), tool_choice=choice))
        assert caught.value.unsupported


def test_what_would_change_the_answer_is_refused():
    for members in (
        {"modalities": ("text", "audio"), "audio": {"voice": "alloy", "format": "wav"}},
        {"format": Format({"type": "object"}), "tools": (Tool("function", "f"),)},
    ):
        with pytest.raises(Misfit) as caught:
            write(foreign(**members))
        assert caught.value.unsupported
    assert write(foreign(format=Format(), tools=(Tool("function", "f"),)), RECENT)["generationConfig"]


@pytest.mark.parametrize(
    ("model", "asked", "config"),
    [
        ("gemini-2.5-flash", Reasoning("max", -1, adaptive=True), {"thinkingBudget": 24576}),
        ("gemini-2.5-flash", Reasoning("none"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Reasoning("none"), {"thinkingBudget": 128}),
        ("gemini-2.5-flash-lite", Reasoning(budget=100), {"thinkingBudget": 512}),
        ("gemini-2.5-pro", Reasoning(adaptive=True, show=True), {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-3.8-flash", Reasoning("minimal"), {"thinkingLevel": "LOW"}),
        ("gemini-3.6-flash", Reasoning("none"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro-preview", Reasoning("medium"), {"thinkingLevel": "HIGH"}),
        ("gemini-3.1-pro-preview", Reasoning(budget=8000), {"thinkingLevel": "MEDIUM"}),
        ("gemini-flash-latest", Reasoning("xhigh", summary="auto"), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("endpoints/123", Reasoning("medium"), {"thinkingBudget": 8192}),
    ],
)
def test_thinking_is_asked_for_in_the_words_of_the_model(model, asked, config):
    assert write(foreign(reasoning=asked), Target(model=model))["generationConfig"] == {"thinkingConfig": config}
    thinks = asked.effort == "none" and 0 not in config.values()  # whatever it is told
    assert bool(dropped(foreign(reasoning=asked), Target(model=model))) == thinks


def test_models_that_do_not_think_are_not_asked_to():
    for target in (Target(model="gemini-2.0-flash"), Target(model="gemini-2.5-flash", reasons=False)):
        request = foreign(reasoning=Reasoning("low"))
        assert "generationConfig" not in write(request, target)
        assert dropped(request, target) == {"reasoning_effort"}


def test_extras_come_back_out_in_this_dialect_only():
    body = {
        "contents": HI,
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "cachedContent": "cachedContents/1",
        "labels": {"team_name": "x"},
        "serviceTier": "flex",
        "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW", "speechConfig": {"languageCode": "de"}},
    }
    request = read_request(body)
    expected = {**body, "safetySettings": body["safety_settings"]}
    del expected["safety_settings"]
    assert write(request) == expected
    assert set(write(msgspec.structs.replace(request, dialect="other"))) == {"contents"}


def test_count_tokens():
    whole = {"generateContentRequest": {"model": "models/gemini-2.5-flash", "contents": HI, "systemInstruction": "s"}}
    request = read_count(whole)
    assert (request.model, len(request.messages)) == ("gemini-2.5-flash", 2)
    assert read_count({"contents": HI}).messages == ASKED
    assert json.loads(write_count(7)) == {"totalTokens": 7}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": 5}, "contents[0]"),
        ({"contents": [{"role": "wizard", "parts": []}]}, "contents[0].role"),
        ({"contents": HI, "generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"contents": HI, "generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences"),
        ({"contents": HI, "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        (
            {"contents": HI, "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
    ],
)
def test_misfits_name_the_member(body, param):
    with pytest.raises(Misfit) as caught:
        read_request(body)
    assert caught.value.param == param
    assert not caught.value.unsupported
