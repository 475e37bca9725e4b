"""The wire APIs that providers speak. A family is a dialect (the JSON on the wire) at a kind of host. Pure.

A family without a dialect is known, shown and configurable, and requests cannot use it yet.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Inline(msgspec.Struct, frozen=True):
    """The kinds of media ("image", "document") that an API takes as bytes only.

    With `types` it reads those types from URLs after all, of these `schemes`, but for models that begin like one of
    `models`. It must be told the type, so what has none that is known goes as bytes.
    """

    kinds: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()
    schemes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def needs(self, kind: str, scheme: str, media_type: str, model: str) -> bool:
        """Whether something of this kind, at a URL of this scheme, must be said as bytes."""
        reads = media_type in self.types and scheme in self.schemes and not model.startswith(self.models)
        return kind in self.kinds and not reads


class Family(msgspec.Struct, frozen=True):
    """`dialect` is a name in `providers.dialects.registry`.

    `path` is appended to a base URL, `stream_path` where streams are asked at another place; `{model}` in them and in
    base URLs is the upstream model. `headers` and `body` are what this host wants besides.
    """

    name: str
    dialect: str = ""
    path: str = ""
    stream_path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[tuple[str, str], ...] = ()
    #: Members of the body that hold the account's variables of the same names.
    variables: tuple[str, ...] = ()
    #: Whether the model is said in the body; it is not where the URL says it.
    model_in_body: bool = True
    #: It answers with streams alone: who wants a whole answer gets one put together.
    streams_only: bool = False
    #: It answers with whole texts alone: who wants a stream gets one made of the text (C-27).
    retold: bool = False
    #: It takes less than its dialect: requests in that dialect are written anew too.
    fitted: bool = False
    #: Seconds that it may be silent before it answers, however short the account's patience is otherwise.
    ponders: float = 0.0
    #: What it does not read from URLs.
    inline: Inline = Inline()
    #: Also where its own dialect gives it by URL: other hosts of that dialect read it.
    inline_own: bool = False
    #: The dialect in which it is asked for embeddings, if it makes any, and what stands in place of `path` then;
    #: `{verb}` in it is the dialect's.
    embedding: str = ""
    embed_path: str = ""
    #: The dialect in which it is asked for pictures, if it makes any, and what stands in place of `path` then; empty
    #: where nothing else is asked there.
    imaging: str = ""
    image_path: str = ""

    def speaks(self, dialect: str) -> bool:
        """Whether a request in this dialect goes to an upstream of this family as it is."""
        return bool(dialect) and dialect in (self.dialect, self.embedding, self.imaging)

    def serves(self, dialect: str) -> bool:
        """Whether requests for what this dialect asks for, chat, embeddings or pictures, can be sent to it somehow."""
        if dialect == OPENAI_IMAGES:
            return bool(self.imaging)
        return bool(self.embedding if dialect in EMBEDDING_DIALECTS else self.dialect)

    @property
    def is_served(self) -> bool:
        """Whether requests can be sent to it: as they are, or translated."""
        return bool(self.dialect or self.imaging)


#: The dialect of POST /v1/chat/completions, and the family that speaks it.
OPENAI_CHAT: Final = "openai_chat"
OPENAI_COMPLETIONS: Final = "openai-completions"
OPENAI_RESPONSES: Final = "openai-responses"
_RESPONSES: Final = "openai_responses"
_ANTHROPIC: Final = "anthropic_messages"
_GOOGLE: Final = "google_generate"
_BEDROCK: Final = "bedrock_converse"
OPENAI_EMBEDDINGS: Final = "openai_embeddings"
GOOGLE_EMBEDDINGS: Final = "google_embeddings"
#: Those that clients ask for embeddings in.
EMBEDDING_DIALECTS: Final = frozenset({OPENAI_EMBEDDINGS, GOOGLE_EMBEDDINGS})
_EMBEDDINGS: Final = "embeddings"
#: That in which clients ask for pictures.
OPENAI_IMAGES: Final = "openai_images"
_IMAGES: Final = "images/generations"
_INVOKE: Final = "model/{model}/invoke"
#: The backend of ChatGPT knows its callers by these, beside the account that comes with the token.
_CODEX_HEADERS: Final = (("openai-beta", "responses=experimental"), ("originator", "jackfield"))

_BYTES: Final = Inline(("image", "document"))
#: Chat completions have files as data or as ids, and images by URL too.
_NO_FILES: Final = Inline(("document",))
#: Gemini's API reads any https URL of these types since January 2026, but for its models before 2.5
#: (ai.google.dev/gemini-api/docs/file-input-methods).
_GEMINI: Final = Inline(
    ("image", "document"),
    frozenset(("image/png", "image/jpeg", "image/webp", "image/bmp", "application/pdf")),
    ("https",),
    ("gemini-1", "gemini-2.0"),
)
#: Vertex AI reads URLs of any model, and must be told the type (FileData of its reference).
_VERTEX: Final = Inline(
    ("image", "document"),
    frozenset(("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf")),
    ("https", "http"),
)

_FAMILIES = (
    Family(
        OPENAI_COMPLETIONS,
        OPENAI_CHAT,
        "chat/completions",
        inline=_NO_FILES,
        embedding=OPENAI_EMBEDDINGS,
        embed_path=_EMBEDDINGS,
        imaging=OPENAI_IMAGES,
        image_path=_IMAGES,
    ),
    Family(
        OPENAI_RESPONSES,
        _RESPONSES,
        "responses",
        embedding=OPENAI_EMBEDDINGS,
        embed_path=_EMBEDDINGS,
        imaging=OPENAI_IMAGES,
        image_path=_IMAGES,
    ),
    Family("anthropic-messages", _ANTHROPIC, "v1/messages", headers=(("anthropic-version", "2023-06-01"),)),
    Family(
        "google-generative-ai",
        _GOOGLE,
        "models/{model}:generateContent",
        "models/{model}:streamGenerateContent?alt=sse",
        model_in_body=False,
        inline=_GEMINI,
        embedding=GOOGLE_EMBEDDINGS,
        embed_path="models/{model}:{verb}",
    ),
    Family(
        "google-vertex",
        _GOOGLE,
        ":generateContent",
        ":streamGenerateContent?alt=sse",
        model_in_body=False,
        inline=_VERTEX,
        embedding="vertex_embeddings",
        embed_path=":{verb}",
    ),
    Family(
        "google-vertex-anthropic",
        _ANTHROPIC,
        ":rawPredict",
        ":streamRawPredict",
        body=(("anthropic_version", "vertex-2023-10-16"),),
        model_in_body=False,
        inline=_BYTES,  # only base64 sources, says platform.claude.com/docs/en/build-with-claude/vision of this host
        inline_own=True,
    ),
    Family(
        "azure-openai",
        OPENAI_CHAT,
        "chat/completions",
        inline=_NO_FILES,
        embedding=OPENAI_EMBEDDINGS,
        embed_path=_EMBEDDINGS,
        imaging=OPENAI_IMAGES,
        image_path=_IMAGES,
    ),
    Family(
        "bedrock-converse",
        _BEDROCK,
        "model/{model}/converse",
        "model/{model}/converse-stream",
        model_in_body=False,
        inline=_BYTES,
        embedding="bedrock_embeddings",
        embed_path=_INVOKE,
    ),
    Family(
        "bedrock-converse-stream",
        _BEDROCK,
        "model/{model}/converse",
        "model/{model}/converse-stream",
        model_in_body=False,
        inline=_BYTES,
        embedding="bedrock_embeddings",
        embed_path=_INVOKE,
    ),
    Family("cohere-chat", "cohere_chat", "chat", embedding="cohere_embeddings", embed_path="embed"),
    Family(
        "openai-codex-responses",
        _RESPONSES,
        "codex/responses",
        headers=_CODEX_HEADERS,
        streams_only=True,
        fitted=True,
    ),
    Family("google-vertex-image"),
    Family("google-vertex-video"),
    # Google's own clients never ask without the project that their sign-in gave them.
    Family(
        "google-cloud-code-assist",
        "google_code_assist",
        "v1internal:generateContent",
        "v1internal:streamGenerateContent?alt=sse",
        variables=("project",),
        inline=_BYTES,  # gemini-cli sends files as data alone; whether a URL would be read is said nowhere
    ),
    Family("azure-image", path=_IMAGES, imaging=OPENAI_IMAGES),
    # A deployment serves one model; its id is what a route calls the model. The base URL may name another api-version.
    Family(
        "sap-ai-core",
        OPENAI_CHAT,
        "v2/inference/deployments/{model}/chat/completions?api-version=2024-12-01-preview",
        model_in_body=False,
        inline=_NO_FILES,
        embedding=OPENAI_EMBEDDINGS,
        embed_path="v2/inference/deployments/{model}/embeddings",
    ),
    Family("github-copilot", OPENAI_CHAT, "chat/completions", inline=_NO_FILES),
    Family("gitlab-duo", "gitlab_duo", "api/v4/chat/completions", model_in_body=False, retold=True),
    Family(
        "ollama-native",
        "ollama_native",
        "api/chat",
        inline=Inline(("image",)),
        embedding="ollama_embeddings",
        embed_path="api/embed",
    ),
    Family("pollinations-simple"),
    # It holds a request for up to `wait` seconds while the job is done.
    Family("theta-on-demand", "theta_infer", "infer_request/{model}?wait=60", model_in_body=False, ponders=75.0),
    Family("byteplus-image", path=_IMAGES, imaging=OPENAI_IMAGES),
    Family("byteplus-video"),
    # The model is what the worker has loaded: which workers a route leads to says it.
    Family("worker-fleet", path="generate", model_in_body=False, imaging="image_worker"),
)
FAMILIES: Final[dict[str, Family]] = {family.name: family for family in _FAMILIES}


def of_model(by_prefix: object, model: str) -> str:
    """The family that a provider serves this model with, by the longest beginning of its id that is listed (C-32)."""
    found = by_prefix if isinstance(by_prefix, dict) else {}
    longest = max((prefix for prefix in found if model.startswith(prefix)), key=len, default="")
    return str(found[longest]) if longest else ""


def choose(dialect: str, default: str, offered: dict[str, str], asked: str = "") -> str:
    """The family that serves a request in `dialect`.

    `asked` is what the route, the account or the model fixes and always wins. Otherwise the provider's `default` when
    it speaks the dialect, else the first of the families it also offers (`offered`: family -> base URL) that does, else
    `default`, else the first that requests can be translated for. For embeddings `default` comes first if it makes any.
    """
    if asked:
        return asked
    known = [family for family in map(FAMILIES.get, (default, *offered)) if family is not None]
    if dialect in EMBEDDING_DIALECTS and known and known[0].serves(dialect):
        return known[0].name  # where a provider says how its models embed; its compatible APIs often only chat
    for family in known:
        if family.speaks(dialect):
            return family.name
    return next((family.name for family in known if family.serves(dialect)), default)
