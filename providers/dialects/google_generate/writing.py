"""Requests as the Gemini API and Vertex AI take them. Pure.

Schemas are written as JSON Schema (`parametersJsonSchema`, `responseJsonSchema`), which both hosts take. One quirk of
routes is known: `model`, the name of the Gemini model behind an endpoint that is called otherwise.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Format, Misfit, Request, Target, Tool, ToolChoice, Written
from providers.dialects.google_generate.config import JSON
from providers.dialects.google_generate.models import Gemini, model_of, thinking_config
from providers.dialects.google_generate.turns import Turns
from providers.dialects.google_generate.words import NAME

_VERTEX: Final = "google-vertex"
_SEED: Final = 2**31
_CALLING: Final = "functionCallingConfig"
#: Arguments in pieces are only read by those who asked for them.
_PIECEMEAL: Final = "streamFunctionCallArguments"
_FREE: Final = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
#: Members of other dialects' requests that are heard elsewhere: usage is always told here.
_ELSEWHERE: Final = frozenset({"stream_options"})
#: What the API has no words for and can do without, by OpenAI's names.
_UNSAID: Final = {
    "min_p": "min_p",
    "logit_bias": "logit_bias",
    "user": "user",
    "metadata": "metadata",
    "cache_key": "prompt_cache_key",
    "verbosity": "verbosity",
}


def write_request(request: Request, target: Target) -> Written:
    """The body for `target`. Raises canon.Misfit. The model and whether to stream stand in the URL."""
    return _Writing(request, target).done()


class _Writing:
    """One request being written."""

    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._native = request.dialect == NAME
        behind = target.quirks.get("model")
        self._model: Gemini = model_of(behind if isinstance(behind, str) else target.model)
        self._extras: dict[str, Any] = request.extras if self._native else {}
        self._dropped: dict[str, None] = {}

    def done(self) -> Written:
        """The body, and what could not be said."""
        request = self._request
        body: dict[str, Any] = self._conversation()
        tools = self._tools()
        if tools:
            body["tools"] = tools
        choice = self._tool_config()
        if choice:
            body["toolConfig"] = choice
        config = self._config()
        if config:
            body["generationConfig"] = config
        if request.service_tier and self._native:
            body["serviceTier"] = request.service_tier
        taken = ("generationConfig", "toolConfig")
        body |= {name: value for name, value in self._extras.items() if name not in taken and name not in body}
        self._name_unsaid()
        return Written(body, tuple(self._dropped))

    def _conversation(self) -> dict[str, Any]:
        turns = Turns(self._request, self._model, self._dropped)
        for message in self._request.messages:
            turns.add(message)
        if not turns.contents and turns.system:
            return {"contents": [{"role": "user", "parts": turns.system}]}
        if not turns.contents:
            raise Misfit("The request must hold at least one message that is not empty.", "messages")
        system = {"systemInstruction": {"parts": turns.system}} if turns.system else {}
        return {"contents": turns.contents, **system}

    # --- tools -------------------------------------------------------------------------------------------------------

    def _tools(self) -> list[dict[str, Any]]:
        functions = [self._function(tool) for tool in self._request.tools if tool.kind in ("function", "free")]
        others = [self._other(tool) for tool in self._request.tools if tool.kind not in ("function", "free")]
        return [*([{"functionDeclarations": functions}] if functions else []), *others]

    def _function(self, tool: Tool) -> dict[str, Any]:
        made: dict[str, Any] = {"name": tool.name}
        if tool.description:
            made["description"] = tool.description
        schema = _FREE if tool.kind == "free" else tool.parameters
        if schema is not None:
            made["parametersJsonSchema"] = schema
        self._drop(strict=tool.strict, cache_control=tool.cache is not None, grammar=tool.kind == "free")
        return made | (tool.extras if tool.dialect == NAME else {})

    def _other(self, tool: Tool) -> dict[str, Any]:
        self._drop(cache_control=tool.cache is not None)
        if tool.kind == "web_search":
            own = tool.dialect == NAME
            self._drop(web_search_options=bool(tool.value))
            return {"googleSearch": tool.extras if own else {}}
        if tool.dialect == NAME:
            return tool.value
        kind = tool.value.get("type") or tool.name
        raise Misfit(f"The model has no tool of the type {kind!r}: leave it out of tools.", "tools", unsupported=True)

    def _tool_config(self) -> dict[str, Any]:
        held = self._extras.get("toolConfig")
        made: dict[str, Any] = dict(held) if isinstance(held, dict) else {}
        calling = made.pop(_CALLING, None)
        calling = dict(calling) if isinstance(calling, dict) else {}
        if calling.pop(_PIECEMEAL, None):
            self._dropped["stream_function_call_arguments"] = None
        names = [tool.name for tool in self._request.tools if tool.kind in ("function", "free")]
        choice = self._request.tool_choice
        calling = (self._choice(choice, names) if choice is not None else {}) | calling
        if calling and (names or self._native):
            made[_CALLING] = calling
        mixed = names and len(names) < len(self._request.tools)
        if mixed and not self._native and self._model.is_recent and self._target.family != _VERTEX:
            # Without it the Gemini API refuses its own tools beside the client's.
            made["includeServerSideToolInvocations"] = True
        return made

    def _choice(self, choice: ToolChoice, names: list[str]) -> dict[str, Any]:
        if choice.mode == "none":
            return {"mode": "NONE"}
        if choice.mode == "auto":
            return (
                {"mode": "VALIDATED", "allowedFunctionNames": [*choice.allowed]} if choice.allowed else {"mode": "AUTO"}
            )
        allowed = [choice.name] if choice.mode == "named" else [*choice.allowed]
        callable_ = bool(names) and (choice.mode != "named" or choice.name in names)
        if not callable_ and not self._native:
            raise Misfit("The model can only be made to call a function.", "tool_choice", unsupported=True)
        return {"mode": "ANY", **({"allowedFunctionNames": allowed} if allowed else {})}

    # --- how to answer -----------------------------------------------------------------------------------------------

    def _config(self) -> dict[str, Any]:
        request = self._request
        made: dict[str, Any] = {
            "temperature": request.temperature,
            "topP": request.top_p,
            "topK": request.top_k,
            "maxOutputTokens": self._limit(),
            "candidateCount": request.n,
            "stopSequences": [*request.stop] or None,
            "responseLogprobs": request.logprobs,
            "logprobs": request.top_logprobs,
            "responseModalities": self._modalities(),
            **self._penalties(),
            "seed": self._seed(),
        }
        made = {name: value for name, value in made.items() if value is not None}
        made |= self._format(request.format)
        thinking = self._thinking()
        if thinking:
            made["thinkingConfig"] = thinking
        held = self._extras.get("generationConfig")
        return made | (held if isinstance(held, dict) else {})

    def _limit(self) -> int | None:
        asked, most = self._request.max_tokens, self._target.max_output
        return asked if asked is None or most is None else min(asked, most)

    def _penalties(self) -> dict[str, Any]:
        request = self._request
        if self._native or self._model.has_penalties:
            return {"presencePenalty": request.presence_penalty, "frequencyPenalty": request.frequency_penalty}
        self._drop(presence_penalty=request.presence_penalty, frequency_penalty=request.frequency_penalty)
        return {}

    def _seed(self) -> int | None:
        seed = self._request.seed
        if seed is None or -_SEED <= seed < _SEED:
            return seed
        self._drop(seed=True)
        return None

    def _modalities(self) -> list[str] | None:
        wanted = self._request.modalities
        if "audio" in wanted and not self._native:
            raise Misfit(
                "The model's provider has other voices and sound formats: ask for text.", "modalities", unsupported=True
            )
        return [word.upper() for word in wanted] or None

    def _format(self, wanted: Format | None) -> dict[str, Any]:
        if wanted is None:
            return {}
        calls = any(tool.kind in ("function", "free") for tool in self._request.tools)
        if calls and not self._native and self._model.version is not None and not self._model.is_recent:
            raise Misfit(
                "The model cannot both call tools and be held to JSON: leave out tools or response_format.",
                "response_format",
                unsupported=True,
            )
        schema = {} if wanted.schema is None else {"responseJsonSchema": wanted.schema}
        return {"responseMimeType": JSON, **schema}

    def _thinking(self) -> dict[str, Any]:
        asked = self._request.reasoning
        if asked is None:
            return {}
        if self._target.reasons is False or not self._model.thinks:
            # Not to think is what such a model does.
            self._drop(reasoning_effort=asked.effort != "none" and asked.budget != 0)
            return {}
        made = thinking_config(asked, self._model, self._native)
        thinks = "thinkingLevel" in made or made.get("thinkingBudget", 0) > 0
        unasked = not self._native and (asked.effort == "none" or asked.budget == 0)
        self._drop(reasoning_effort=unasked and thinks)  # it thinks, whatever it is told
        return made

    # --- what was left out -------------------------------------------------------------------------------------------

    def _drop(self, **names: object) -> None:
        """Name what is left out, where something was asked for."""
        self._dropped.update(dict.fromkeys(name for name, asked in names.items() if asked))

    def _name_unsaid(self) -> None:
        request = self._request
        self._drop(**{ours: getattr(request, name) for name, ours in _UNSAID.items()})
        self._drop(**dict.fromkeys(() if self._native else request.extras.keys() - _ELSEWHERE, True))
        self._drop(
            parallel_tool_calls=request.parallel_tools is False,
            store=request.store is True,
            service_tier=bool(request.service_tier) and request.service_tier != "auto" and not self._native,
            audio=request.audio is not None and not self._native,
        )
