"""The dialects there are, by name. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects import cohere_embedding as at_cohere
from providers.dialects.anthropic_messages.dialect import ANTHROPIC_MESSAGES
from providers.dialects.bedrock_converse import embedding as at_bedrock
from providers.dialects.bedrock_converse.dialect import BEDROCK_CONVERSE
from providers.dialects.cohere_chat.dialect import COHERE_CHAT
from providers.dialects.dialect import Client, Dialect, Upstream
from providers.dialects.embedding import EmbeddingClient, EmbeddingUpstream
from providers.dialects.envelope import enveloped
from providers.dialects.gitlab_duo.dialect import GITLAB_DUO
from providers.dialects.google_code_assist.dialect import GOOGLE_CODE_ASSIST
from providers.dialects.google_generate import embedding as at_google
from providers.dialects.google_generate import predicting as at_vertex
from providers.dialects.google_generate.dialect import GOOGLE_GENERATE
from providers.dialects.image_worker import generate as at_workers
from providers.dialects.imaging import ImageUpstream
from providers.dialects.ollama_native import embedding as at_ollama
from providers.dialects.ollama_native.dialect import OLLAMA_NATIVE
from providers.dialects.openai_chat import embedding as at_openai
from providers.dialects.openai_chat.completions import NAME as LEGACY
from providers.dialects.openai_chat.completions import OPENAI_COMPLETIONS_LEGACY
from providers.dialects.openai_chat.dialect import OPENAI_CHAT
from providers.dialects.openai_responses.dialect import OPENAI_RESPONSES
from providers.dialects.theta_infer.dialect import THETA_INFER

_DIALECTS = (
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    GOOGLE_CODE_ASSIST,
    BEDROCK_CONVERSE,
    COHERE_CHAT,
    OLLAMA_NATIVE,
    GITLAB_DUO,
    THETA_INFER,
)

DIALECTS: Final[dict[str, Dialect]] = {dialect.name: dialect for dialect in _DIALECTS}
#: Those that clients speak.
CLIENTS: Final[dict[str, Client]] = {
    name: dialect.client for name, dialect in DIALECTS.items() if dialect.client is not None
} | {LEGACY: OPENAI_COMPLETIONS_LEGACY}  # a second way in to the chat of OpenAI's package


def _upstreams() -> dict[str, Upstream]:
    spoken = {name: dialect.upstream for name, dialect in DIALECTS.items() if dialect.upstream is not None}
    wrapped = {name: dialect.envelope for name, dialect in DIALECTS.items() if dialect.envelope is not None}
    return spoken | {name: enveloped(spoken[envelope.inside], envelope) for name, envelope in wrapped.items()}


#: Those that upstreams speak.
UPSTREAMS: Final = _upstreams()

#: What embeddings are asked for in, by name.
EMBEDDING_UPSTREAMS: Final[dict[str, EmbeddingUpstream]] = {
    at_openai.NAME: at_openai.OPENAI,
    at_google.NAME: at_google.GOOGLE,
    at_vertex.NAME: at_vertex.VERTEX,
    at_cohere.NAME: at_cohere.COHERE,
    at_ollama.NAME: at_ollama.OLLAMA,
    at_bedrock.NAME: at_bedrock.BEDROCK,
}
#: Who asks for them, by the verb of Google's paths; OpenAI's has none.
EMBEDDING_CLIENTS: Final[dict[str, EmbeddingClient]] = {"": at_openai.OPENAI_CLIENT} | at_google.GOOGLE_CLIENTS

#: What pictures are asked for in, beside OpenAI's dialect, which goes through as it came.
IMAGE_UPSTREAMS: Final[dict[str, ImageUpstream]] = {at_workers.NAME: at_workers.IMAGE_WORKER}
