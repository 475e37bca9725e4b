"""The closed vocabulary of errors: every refusal and failure of the data plane is one of these, by fault domain.

A code is stable: clients and dashboards may depend on it. The domain says who has to act: the caller, whoever set the
policy, the upstream, or the people who run this gateway. `docs/errors.md` lists them all, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from rest_framework.exceptions import APIException

from api.meanings import AUTH as _AUTH
from api.meanings import PERMISSION as _PERMISSION
from api.meanings import RATE as _RATE
from api.meanings import REQUEST as _REQUEST
from api.meanings import SERVER as _SERVER
from api.meanings import Domain
from api.meanings import caller as _caller
from api.meanings import gateway as _gateway
from api.meanings import policy as _policy
from api.meanings import upstream as _upstream
from providers.dialects.registry import CLIENTS
from providers.families import OPENAI_CHAT

#: Text of an upstream that is shown to a client is cut here (R-LOG-02).
MAX_UPSTREAM_TEXT = 2048


class Fault(Enum):
    """Every error there is. The text is the default message; the step is what to do about it."""

    # --- the caller ---------------------------------------------------------------------------------------------
    BAD_HTTP = _caller(
        "invalid_http", 400, "The HTTP request is malformed or ambiguous.", "Send one well-formed request."
    )
    HEADERS_TOO_LARGE = _caller(
        "headers_too_large", 431, "The request has too many or too large headers.", "Send at most 64 headers, 32 KiB."
    )
    HOST_REFUSED = _caller(
        "host_refused", 400, "The Host header names no host of this gateway.", "Use the gateway's own address."
    )
    INVALID_API_KEY = _caller(
        "invalid_api_key", 401, "The API key is missing or not valid.", "Send a valid project token.", _AUTH
    )
    TOKEN_IN_URL = _caller(
        "token_in_url",
        400,
        "A key in the URL is not accepted, because URLs end up in logs.",
        "Send the token in the Authorization, x-api-key, api-key or x-goog-api-key header.",
    )
    CONFLICTING_CREDENTIALS = _caller(
        "conflicting_credentials", 400, "Two headers carry different tokens.", "Send the token in one header only."
    )
    FLEET_TOKEN_NEEDED = _caller(
        "fleet_token_required", 403, "Workers register with a fleet token.", "Send one of the account's.", _PERMISSION
    )
    FLEET_TOKEN_REFUSED = _caller(
        "fleet_token_refused", 403, "A fleet token lets workers register alone.", "Send a project token.", _PERMISSION
    )
    WORKER_REFUSED = _caller(
        "worker_refused", 400, "No worker may be at this URL.", "See the account's worker hosts and private_network."
    )
    WORKER_NOT_FOUND = _caller(
        "worker_not_found", 404, "No worker of the account is registered at this URL.", "See GET /fleet/register."
    )
    PATH_NOT_FOUND = _caller("path_not_found", 404, "There is no such endpoint.", "See GET /v1/models and the docs.")
    METHOD_NOT_ALLOWED = _caller(
        "method_not_allowed", 405, "The endpoint does not accept this method.", "See the Allow header."
    )
    BODY_TOO_LARGE = _caller("body_too_large", 413, "The request body is too large.", "Send a smaller body.")
    BODY_TIMEOUT = _caller(
        "body_timeout", 408, "The request body did not come in time.", "Send the body faster or in smaller parts."
    )
    CONTENT_ENCODING_REFUSED = _caller(
        "content_encoding_refused", 415, "Encoded request bodies are not accepted.", "Send the body uncompressed."
    )
    CONTENT_TYPE_REFUSED = _caller(
        "content_type_refused", 415, "The body must be JSON.", "Send content-type: application/json."
    )
    INVALID_JSON = _caller("invalid_json", 400, "The request body is not valid JSON.", "Send one JSON object.")
    NOT_UTF8 = _caller("not_utf8", 400, "The request body is not valid UTF-8.", "Send the body in UTF-8.")
    NOT_AN_OBJECT = _caller("not_an_object", 400, "The request body is not a JSON object.", "Send one JSON object.")
    DUPLICATE_KEY = _caller(
        "duplicate_key", 400, "The request body has the same key twice.", "Send each top-level key once."
    )
    TOO_DEEP = _caller("too_deep", 400, "The request body is nested too deeply.", "Nest at most 64 levels.")
    TOO_MANY_NODES = _caller(
        "too_many_nodes", 400, "The request body has too many values.", "Send at most a million values."
    )
    NUMBER_TOO_LONG = _caller(
        "number_too_long", 400, "The request body has a number of too many digits.", "Send at most 64 digits."
    )
    INVALID_PARAMETER = _caller(
        "invalid_parameter", 400, "A parameter has a value of the wrong kind.", "See `param` in the error."
    )
    UNSUPPORTED = _caller(
        "unsupported_parameter",
        400,
        "The model's provider cannot do what the request asks for.",
        "Leave it out, or name another model.",
    )
    FILE_NOT_FETCHED = _caller(
        "file_not_fetched",
        400,
        "An image or document that was given by its URL could not be fetched.",
        "Send its data in base64, or a URL of https that anyone may read.",
    )
    MODEL_REQUIRED = _caller("model_required", 400, "The request names no model.", "Set `model`.")
    MODEL_NOT_FOUND = _caller(
        "model_not_found", 404, "There is no such model.", "GET /v1/models lists the models this token may use."
    )
    RESPONSE_NOT_FOUND = _caller(
        "response_not_found",
        404,
        "There is no such response.",
        "Responses are kept for the project that asked for them, for a time, unless it asked with `store` false.",
    )
    ITEM_NOT_FOUND = _caller(
        "item_not_found",
        404,
        "There is no such item.",
        "Send the items themselves as `input`, in place of their ids; with `store` false, SDKs do.",
    )
    LOOP = _caller(
        "loop_detected", 508, "This request came through this gateway already.", "Do not route a gateway to itself."
    )

    # --- policy: whoever set up the project, the models and the keys --------------------------------------------
    MODEL_NOT_ALLOWED = _policy(
        "model_not_allowed",
        403,
        "The models that the project prefers are not on its own allowlist.",
        "Put them on the allowlist, or name another model.",
    )
    TOKEN_REVOKED = _policy(
        "token_revoked",
        401,
        "The token was revoked as compromised while the answer was under way.",
        "Use another token; the answer is partial.",
        _AUTH,
    )
    PROVIDER_KEY_MISSING = _policy(
        "provider_key_missing",
        400,
        "API key not configured for the provider.",
        "Enter a key in the admin or set one of the variables that the message names.",
        _REQUEST,
    )
    PROVIDER_DEFERRED = _policy(
        "provider_deferred",
        400,
        "This provider is known but cannot be served yet.",
        "Use the alternative that the message names.",
        _REQUEST,
    )
    FAMILY_NOT_SERVED = _policy(
        "family_not_served",
        501,
        "The model's provider speaks an API that requests cannot be sent to yet.",
        "Choose a model of another provider, or give the model another route.",
        _REQUEST,
    )
    AUTO_NOT_CONFIGURED = _policy(
        "auto_not_configured",
        400,
        "This project has neither preferred models nor a default model.",
        "Name a model, or set the project's preferences.",
        _REQUEST,
    )
    NO_CANDIDATE = _policy(
        "no_candidate", 503, "The model has no route that can be used.", "Enable or add a route of this model.", _SERVER
    )
    NO_WORKER = _policy(
        "no_worker", 503, "No worker is there for the model.", "Start one; it registers with the gateway.", _SERVER
    )
    FLEET_FULL = _policy(
        "fleet_full", 429, "There are as many workers as there may be.", "Deregister those that are not needed.", _RATE
    )
    VARIABLE_MISSING = _policy(
        "variable_missing",
        400,
        "The account's URL needs a variable that is not set.",
        "Set the variable that the message names on the account.",
        _REQUEST,
    )
    BAD_ACCOUNT = _policy(
        "account_unusable",
        502,
        "The account's URL, credential scheme or key cannot be used.",
        "Correct the account as the message says.",
        _SERVER,
    )
    EGRESS_REFUSED = _policy(
        "egress_refused",
        502,
        "The upstream's address may not be reached from here.",
        "Allow private addresses on the account, or correct its URL.",
        _SERVER,
    )
    KEYS_COOLING = _policy(
        "keys_cooling", 429, "All keys for this model are rate limited.", "Wait for Retry-After, or add keys.", _RATE
    )

    SHARE_TAKEN = _policy(
        "project_share_taken", 429, "This project has its share of a full gateway.", "Wait for Retry-After.", _RATE
    )

    # --- the upstream -------------------------------------------------------------------------------------------
    RATE_LIMITED = _upstream(
        "upstream_rate_limit", 429, "The upstream is rate limiting us.", "Wait for Retry-After, or add keys.", _RATE
    )
    EXHAUSTED = _upstream(
        "upstream_exhausted", 429, "Our key's quota or balance there is used up.", "Raise it, or add keys.", _RATE
    )
    REFUSED = _upstream(
        "upstream_refused",
        400,
        "The upstream refused the request; status, type and code are its own.",
        "Correct the request as the message says.",
        _REQUEST,
    )
    UPSTREAM_AUTH = _upstream(
        "upstream_auth", 401, "The upstream refused our key.", "Replace the account's key.", _AUTH
    )
    UPSTREAM_PAYMENT = _upstream(
        "upstream_payment", 402, "The upstream wants to be paid.", "Settle the account's bill.", _PERMISSION
    )
    UPSTREAM_FORBIDDEN = _upstream(
        "upstream_forbidden", 403, "The upstream forbids this to our key.", "Check the key's rights.", _PERMISSION
    )
    UPSTREAM_NOT_FOUND = _upstream(
        "upstream_not_found", 404, "The upstream does not know this model or path.", "Check the route.", _REQUEST
    )
    REDIRECT = _upstream(
        "upstream_redirect", 502, "The upstream answered with a redirect.", "Correct the account's URL."
    )
    UPSTREAM_ERROR = _upstream("upstream_error", 502, "The upstream failed.", "Retry later.")
    UPSTREAM_OVERLOADED = _upstream("upstream_overloaded", 503, "The upstream is overloaded.", "Retry later.")
    UNREACHABLE = _upstream(
        "upstream_unreachable", 502, "The upstream could not be reached.", "Check the account's URL and network."
    )
    DNS_FAILED = _upstream(
        "upstream_dns", 502, "The upstream's name could not be resolved.", "Check the account's URL and the resolver."
    )
    TLS_FAILED = _upstream(
        "upstream_tls", 502, "The upstream's certificate could not be verified.", "Check the account's URL."
    )
    TLS_TIMEOUT = _upstream(
        "upstream_tls_timeout", 504, "The upstream did not finish the TLS handshake in time.", "Retry later."
    )
    PROTOCOL = _upstream(
        "upstream_protocol", 502, "The upstream broke the HTTP protocol or hung up.", "Retry; tell its operator."
    )
    CONNECT_TIMEOUT = _upstream(
        "upstream_connect_timeout", 504, "The upstream did not accept a connection in time.", "Retry later."
    )
    POOL_TIMEOUT = _upstream(
        "upstream_pool_timeout", 503, "No connection to the upstream became free in time.", "Retry later."
    )
    TIMEOUT = _upstream(
        "upstream_timeout",
        504,
        "The upstream did not begin to answer in time.",
        "Retry, or raise first_byte in the account's timeouts.",
    )
    GAP_TIMEOUT = _upstream(
        "upstream_gap_timeout",
        504,
        "The upstream paused too long between two events.",
        "Retry, or raise gap in the account's timeouts.",
    )
    TOTAL_TIMEOUT = _upstream(
        "upstream_total_timeout",
        504,
        "The upstream did not finish in time.",
        "Retry, or raise total in the account's timeouts.",
    )
    CUT = _upstream(
        "upstream_cut", 502, "The upstream ended its answer before it was complete.", "Retry; the answer is partial."
    )
    STREAM_ERROR = _upstream(
        "upstream_stream_error", 502, "The upstream reported an error in its stream.", "Retry; the answer is partial."
    )
    BAD_ANSWER = _upstream(
        "upstream_bad_answer", 502, "The upstream's answer is not what its API promises.", "Retry; tell its operator."
    )
    ANSWER_TOO_LARGE = _upstream(
        "upstream_too_large", 502, "The upstream's answer is too large.", "Ask for less, or stream."
    )

    WORKERS_BUSY = _upstream(
        "workers_busy", 503, "The model's workers have as many jobs as they take.", "Wait, or register more workers."
    )

    # --- the gateway --------------------------------------------------------------------------------------------
    INTERNAL = _gateway("internal_error", 500, "The gateway failed.", "Report the request id to its operators.")
    NOT_READY = _gateway("not_ready", 503, "The gateway has no configuration yet.", "Retry in a few seconds.")
    SNAPSHOT_TOO_OLD = _gateway(
        "snapshot_too_old", 503, "The gateway's configuration is too old to be trusted.", "Restore its database."
    )
    RESPONSES_AWAY = _gateway(
        "responses_away", 503, "Earlier responses cannot be looked up now.", "Retry, or send the whole conversation."
    )
    OVERLOADED = _gateway(
        "gateway_overloaded",
        503,
        "The gateway has as much in hand as it takes.",
        "Wait for Retry-After; add processes.",
    )
    OUT_OF_MEMORY = _gateway(
        "gateway_memory", 503, "Memory ran short, and this request held the most.", "Wait for Retry-After; send less."
    )
    STOPPING = _gateway("stopping", 503, "The gateway is stopping.", "Retry; another process will serve.")

    @property
    def code(self) -> str:
        return self.value.code

    @property
    def status(self) -> int:
        return self.value.status

    @property
    def domain(self) -> Domain:
        return self.value.domain


BY_CODE: dict[str, Fault] = {fault.code: fault for fault in Fault}


class ApiError(APIException):
    """A fault on its way to the client, with what is special about this one.

    `status` may differ from the fault's where an upstream's own is passed on. `error` is an upstream's own error
    object, shown in place of ours because client and upstream speak the same dialect. `step` is what to do about this
    one, where that is not what the fault says; "": the message says it.
    """

    def __init__(
        self,
        fault: Fault,
        message: str = "",
        *,
        status: int = 0,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        error: Mapping[str, Any] | None = None,
        step: str | None = None,
    ) -> None:
        super().__init__(message or fault.value.text, fault.code)
        self.fault = fault
        self.message = message or fault.value.text
        self.status_code = status or fault.status
        self.param = param
        self.headers = headers or {}
        self.error = error
        self.step = fault.value.step if step is None else step
        #: no other upstream is asked after this one
        self.final = False

    def as_object(self) -> dict[str, Any]:
        """The error object of OpenAI's envelope: in our own words, with what to do next; or in the upstream's."""
        message = self.message[:MAX_UPSTREAM_TEXT]
        if self.error is None and self.step not in message:
            message = f"{message} {self.step}"
        ours = {
            "message": message,
            "type": self.fault.value.type,
            "param": self.param,
            "code": self.fault.code,
            "status": self.status_code,
        }
        if self.headers.get("retry-after"):
            ours["retry_after"] = self.headers["retry-after"]
        if self.error is not None:
            theirs = {name: _cut(value) for name, value in self.error.items() if isinstance(name, str)}
            return ours | theirs | {"message": ours["message"], "status": self.status_code}
        return ours

    def body(self, dialect: str = OPENAI_CHAT) -> bytes:
        """As the client's dialect says it; a refusal before any endpoint is in OpenAI's words."""
        return CLIENTS[dialect].envelope(self.as_object())

    def event(self, dialect: str = OPENAI_CHAT) -> bytes:
        """The same as an event of a stream that has begun."""
        return CLIENTS[dialect].event(self.as_object())


def _cut(value: Any) -> Any:
    """An upstream's own member of an error object, within bounds; nested data are not shown."""
    if isinstance(value, str):
        return value[:MAX_UPSTREAM_TEXT]
    return value if value is None or isinstance(value, int | float | bool) else None
