"""Where a chat request to each provider goes, written down from what the vendors publish and not from our catalog.

id, the dialect spoken there, the header that holds the key, and the URL of a whole answer. A stream is asked for at the
same URL unless STREAMED says another.
"""

from __future__ import annotations

#: What account variables are filled with, so that no template stays open.
FILLED = {
    "cloudflare-ai-gateway": {"account_id": "acc", "gateway_id": "gw"},
    "cloudflare-workers-ai": {"account_id": "acc"},
    "google-vertex": {"project": "proj"},
    "azure-openai": {"resource": "res"},
    "google-antigravity": {"project": "proj"},
    "google-gemini-cli": {"project": "proj"},
    "sap-ai-core": {"service_url": "https://api.ai.example"},
    "sandbox": {"port": "8009"},
}
_VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/proj/locations/us-central1/publishers"
_GOOGLE = "https://generativelanguage.googleapis.com/v1beta/models"
_ASSIST = "https://cloudcode-pa.googleapis.com/v1internal"
_AWS = "https://bedrock-runtime.us-east-1.amazonaws.com/model"

NATIVE = """
anthropic messages x-api-key https://api.anthropic.com/v1/messages
openai chat bearer https://api.openai.com/v1/chat/completions
google google ?key https://generativelanguage.googleapis.com/v1beta/models/m-1:generateContent
google-vertex google bearer {vertex}/google/models/m-1:generateContent
google-gemini-cli assist bearer {assist}:generateContent
google-antigravity assist bearer {assist}:generateContent
cohere cohere bearer https://api.cohere.com/v2/chat
azure-openai chat api-key https://res.openai.azure.com/openai/deployments/m-1/chat/completions?api-version=2024-02-15-preview
amazon-bedrock converse sigv4 {aws}/m-1/converse
sap-ai-core chat bearer https://api.ai.example/v2/inference/deployments/m-1/chat/completions?api-version=2024-12-01-preview
github-copilot chat bearer https://api.individual.githubcopilot.com/chat/completions
gitlab gitlab bearer https://gitlab.com/api/v4/chat/completions
openai-codex responses bearer https://chatgpt.com/backend-api/codex/responses
theta theta bearer https://ondemand.thetaedgecloud.com/infer_request/m-1?wait=60
opencode chat bearer https://opencode.ai/zen/v1/chat/completions
"""
STREAMED = {
    "google": f"{_GOOGLE}/m-1:streamGenerateContent?alt=sse",
    "google-vertex": f"{_VERTEX}/google/models/m-1:streamGenerateContent?alt=sse",
    "google-gemini-cli": f"{_ASSIST}:streamGenerateContent?alt=sse",
    "google-antigravity": f"{_ASSIST}:streamGenerateContent?alt=sse",
    "amazon-bedrock": f"{_AWS}/m-1/converse-stream",
}
MESSAGES = """
kimi-for-coding https://api.kimi.com/coding/v1/messages
minimax https://api.minimax.io/anthropic/v1/messages
minimax-cn https://api.minimaxi.com/anthropic/v1/messages
minimax-coding-plan https://api.minimax.io/anthropic/v1/messages
minimax-cn-coding-plan https://api.minimaxi.com/anthropic/v1/messages
zenmux https://zenmux.ai/api/anthropic/v1/messages
"""
CHAT = """
groq https://api.groq.com/openai/v1
deepinfra https://api.deepinfra.com/v1/openai
cerebras https://api.cerebras.ai/v1
openrouter https://openrouter.ai/api/v1
mistral https://api.mistral.ai/v1
moonshotai https://api.moonshot.ai/v1
alibaba https://dashscope-intl.aliyuncs.com/compatible-mode/v1
deepseek https://api.deepseek.com
fireworks https://api.fireworks.ai/inference/v1
togetherai https://api.together.xyz/v1
perplexity https://api.perplexity.ai
xai https://api.x.ai/v1
302ai https://api.302.ai/v1
abacus https://routellm.abacus.ai/v1
aihubmix https://aihubmix.com/v1
bailing https://api.tbox.cn/api/llm/v1
berget https://api.berget.ai/v1
chutes https://llm.chutes.ai/v1
cortecs https://api.cortecs.ai/v1
fastrouter https://go.fastrouter.ai/api/v1
firmware https://app.firmware.ai/api/v1
friendli https://api.friendli.ai/serverless/v1
github-models https://models.github.ai/inference
helicone https://ai-gateway.helicone.ai/v1
huggingface https://router.huggingface.co/v1
iflowcn https://apis.iflow.cn/v1
inception https://api.inceptionlabs.ai/v1
inference https://inference.net/v1
io-net https://api.intelligence.io.solutions/api/v1
jiekou https://api.jiekou.ai/openai
lucidquery https://lucidquery.com/api/v1
moark https://moark.com/v1
morph https://api.morphllm.com/v1
nano-gpt https://nano-gpt.com/api/v1
nova https://api.nova.amazon.com/v1
novita-ai https://api.novita.ai/openai
nvidia https://integrate.api.nvidia.com/v1
poe https://api.poe.com/v1
privatemode-ai http://localhost:8080/v1
requesty https://router.requesty.ai/v1
submodel https://llm.submodel.ai/v1
synthetic https://api.synthetic.new/v1
vivgrid https://api.vivgrid.com/v1
vultr https://api.vultrinference.com/v1
wandb https://api.inference.wandb.ai/v1
xiaomi https://api.xiaomimimo.com/v1
alibaba-cn https://dashscope.aliyuncs.com/compatible-mode/v1
modelscope https://api-inference.modelscope.cn/v1
moonshotai-cn https://api.moonshot.cn/v1
nebius https://api.tokenfactory.nebius.com/v1
ovhcloud https://oai.endpoints.kepler.ai.cloud.ovh.net/v1
scaleway https://api.scaleway.ai/v1
stackit https://api.openai-compat.model-serving.eu01.onstackit.cloud/v1
siliconflow https://api.siliconflow.com/v1
siliconflow-cn https://api.siliconflow.cn/v1
upstage https://api.upstage.ai/v1/solar
venice https://api.venice.ai/api/v1
zai https://api.z.ai/api/paas/v4
zai-coding-plan https://api.z.ai/api/coding/paas/v4
zhipuai https://open.bigmodel.cn/api/paas/v4
zhipuai-coding-plan https://open.bigmodel.cn/api/coding/paas/v4
baseten https://inference.baseten.co/v1
llama https://api.llama.com/compat/v1
lmstudio http://127.0.0.1:1234/v1
ollama-cloud https://ollama.com/v1
vercel https://ai-gateway.vercel.sh/v1
cloudflare-ai-gateway https://gateway.ai.cloudflare.com/v1/acc/gw/openai
cloudflare-workers-ai https://api.cloudflare.com/client/v4/accounts/acc/ai/v1
qwen-portal https://portal.qwen.ai/v1
volcengine https://ark.cn-beijing.volces.com/api/v3
volcengine-plan https://ark.cn-beijing.volces.com/api/coding/v3
byteplus https://ark.ap-southeast.bytepluses.com/api/v3
byteplus-plan https://ark.ap-southeast.bytepluses.com/api/coding/v3
vllm http://127.0.0.1:8000/v1
litellm http://127.0.0.1:4000/v1
pollinations https://gen.pollinations.ai/v1
kilo https://api.kilo.ai/api/gateway
llmgateway https://api.llmgateway.io/v1
sandbox http://127.0.0.1:8009/v1
"""
KEYLESS = """
ollama http://127.0.0.1:11434/v1
"""
#: Known, and not spoken with: what is said of them instead.
REFUSED = {
    "io-net-fleet": "unsupported_parameter",  # it makes pictures, and does not chat
    "v0": "provider_deferred",
    "local": "provider_deferred",
}
#: Names beside the id that the requirements list.
ALIASES = {
    "google": ["gemini"],
    "moonshotai": ["moonshot", "kimi"],
    "alibaba": ["dashscope", "qwen"],
    "fireworks": ["fireworks-ai"],
    "google-vertex": ["vertexai"],
    "amazon-bedrock": ["bedrock"],
    "sap-ai-core": ["sap"],
    "azure-openai": ["azure", "azure-cognitive-services"],
    "github-copilot": ["copilot"],
    "gitlab": ["gitlab-duo"],
    "openrouter": ["open-router"],
    "zai": ["z.ai", "z-ai"],
    "vercel": ["vercel-ai-gateway"],
    "kimi-for-coding": ["kimi-coding", "kimi-code"],
    "opencode": ["opencode-zen"],
    "volcengine": ["bytedance", "doubao"],
}


def table() -> dict[str, tuple[str, str, str]]:
    """id -> dialect, header of the key, URL."""
    rows = {}
    for line in NATIVE.format(vertex=_VERTEX, assist=_ASSIST, aws=_AWS).split("\n"):
        if line:
            name, dialect, header, url = line.split()
            rows[name] = (dialect, header, url)
    for text, dialect, header, tail in (
        (MESSAGES, "messages", "x-api-key", ""),
        (CHAT, "chat", "bearer", "/chat/completions"),
        (KEYLESS, "chat", "none", "/chat/completions"),
    ):
        for line in text.split("\n"):
            if line:
                name, base = line.split()
                rows[name] = (dialect, header, base + tail)
    return rows


#: Families that a provider offers beside its own, where the client's dialect or the model's name leads to another:
#: (model ref, client's dialect, header of the key, URL).
OFFERED = [
    ("openai/m-1", "responses", "bearer", "https://api.openai.com/v1/responses"),
    ("xiaomi/m-1", "messages", "bearer", "https://api.xiaomimimo.com/anthropic/v1/messages"),
    ("synthetic/m-1", "messages", "bearer", "https://api.synthetic.new/anthropic/v1/messages"),
    ("vercel/m-1", "messages", "bearer", "https://ai-gateway.vercel.sh/v1/messages"),
    (
        "cloudflare-ai-gateway/m-1",
        "messages",
        "bearer",
        "https://gateway.ai.cloudflare.com/v1/acc/gw/anthropic/v1/messages",
    ),
    ("azure/m-1", "messages", "api-key", "https://res.services.ai.azure.com/anthropic/v1/messages"),
    ("opencode/claude-opus-4-6", "chat", "x-api-key", "https://opencode.ai/zen/v1/messages"),
    ("opencode/minimax-m2.1-free", "chat", "x-api-key", "https://opencode.ai/zen/v1/messages"),
    ("opencode/gpt-5.1-codex", "chat", "bearer", "https://opencode.ai/zen/v1/responses"),
    (
        "opencode/gemini-3-pro",
        "chat",
        "x-goog-api-key",
        "https://opencode.ai/zen/v1/models/gemini-3-pro:generateContent",
    ),
    ("opencode/glm-4.7", "messages", "x-api-key", "https://opencode.ai/zen/v1/messages"),
]

_GLOBAL = "https://aiplatform.googleapis.com/v1/projects/proj/locations/global"
_EUROPE = "https://europe-west1-aiplatform.googleapis.com/v1/projects/proj/locations/europe-west1/publishers/anthropic"
#: Public models whose place is more than a provider's.
PATCHED = {
    "gemini": f"{_GLOBAL}/publishers/google/models/gemini-3-flash-preview:generateContent",
    "gemini-fast": f"{_VERTEX}/google/models/gemini-2.5-flash-lite:generateContent",
    "gemini-large": f"{_GLOBAL}/publishers/google/models/gemini-3-pro-preview:generateContent",
    "gemini-search": f"{_GLOBAL}/publishers/google/models/gemini-3-flash-preview:generateContent",
    "claude": f"{_EUROPE}/models/claude-sonnet-4-5@20250929:rawPredict",
    "claude-large": f"{_EUROPE}/models/claude-opus-4-5@20251101:rawPredict",
    "kimi-k2-thinking": f"{_GLOBAL}/endpoints/openapi/chat/completions",
    "claude-fast": f"{_AWS}/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse",
    "nova-fast": f"{_AWS}/amazon.nova-micro-v1%3A0/converse",
    "chickytutor": f"{_AWS}/us.anthropic.claude-3-5-haiku-20241022-v1%3A0/converse",
    "midijourney": "https://res.openai.azure.com/openai/deployments/gpt-4.1-2025-04-14/chat/completions"
    "?api-version=2024-02-15-preview",
    "mistral": "https://api.scaleway.ai/v1/chat/completions",
    "perplexity-fast": "https://api.perplexity.ai/chat/completions",
}
