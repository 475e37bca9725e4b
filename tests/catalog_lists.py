"""What the requirements list: the ids of the providers, the exact values of the presets, the aliases."""

from __future__ import annotations

from providers.catalog import load
from providers.catalog.forms import CatalogProvider
from providers.entries import AccountEntry, ProviderEntry, Timeouts, Variable
from providers.hosts import base_url, call_url

CATALOG = load()

NATIVE = ["anthropic", "openai", "google", "google-vertex", "cohere", "azure-openai"]
ADAPTERS = ["amazon-bedrock", "sap-ai-core", "github-copilot", "gitlab"]
WAVE_A = [
    "groq",
    "deepinfra",
    "cerebras",
    "openrouter",
    "mistral",
    "moonshotai",
    "alibaba",
    "deepseek",
    "fireworks",
    "togetherai",
    "perplexity",
    "xai",
]
BATCH_A = [
    "302ai",
    "abacus",
    "aihubmix",
    "bailing",
    "berget",
    "chutes",
    "cortecs",
    "fastrouter",
    "firmware",
    "friendli",
    "github-models",
    "helicone",
    "huggingface",
    "iflowcn",
    "inception",
    "inference",
    "io-net",
    "jiekou",
    "lucidquery",
    "moark",
    "morph",
    "nano-gpt",
    "nova",
    "novita-ai",
    "nvidia",
    "poe",
    "privatemode-ai",
    "requesty",
    "submodel",
    "synthetic",
    "vivgrid",
    "vultr",
    "wandb",
    "xiaomi",
]
B1 = ["alibaba-cn", "kimi-for-coding", "minimax", "minimax-cn", "minimax-coding-plan", "minimax-cn-coding-plan"]
B2 = ["modelscope", "moonshotai-cn", "nebius", "ovhcloud", "scaleway"]
B3 = ["siliconflow", "siliconflow-cn", "upstage", "venice", "zai", "zai-coding-plan", "zhipuai", "zhipuai-coding-plan"]
C1 = ["baseten", "llama", "lmstudio", "ollama-cloud"]
SPECIAL = ["opencode", "vercel", "zenmux"]
CLOUDFLARE = ["cloudflare-ai-gateway", "cloudflare-workers-ai"]
CANONICAL = [*NATIVE, *ADAPTERS, *WAVE_A, *BATCH_A, *B1, *B2, *B3, *C1, *SPECIAL, *CLOUDFLARE, "stackit"]

#: id, family (openai-completions or anthropic-messages), base URL, key variables in order
PRESETS = [
    line.split()
    for line in """
groq openai https://api.groq.com/openai/v1 GROQ_API_KEY
deepinfra openai https://api.deepinfra.com/v1/openai DEEPINFRA_API_KEY
cerebras openai https://api.cerebras.ai/v1 CEREBRAS_API_KEY
openrouter openai https://openrouter.ai/api/v1 OPENROUTER_API_KEY
mistral openai https://api.mistral.ai/v1 MISTRAL_API_KEY
moonshotai openai https://api.moonshot.ai/v1 MOONSHOT_API_KEY,KIMI_API_KEY
alibaba openai https://dashscope-intl.aliyuncs.com/compatible-mode/v1 DASHSCOPE_API_KEY,QWEN_API_KEY
deepseek openai https://api.deepseek.com DEEPSEEK_API_KEY
fireworks openai https://api.fireworks.ai/inference/v1 FIREWORKS_API_KEY
togetherai openai https://api.together.xyz/v1 TOGETHER_API_KEY,TOGETHER_AI_API_KEY
perplexity openai https://api.perplexity.ai PERPLEXITY_API_KEY
xai openai https://api.x.ai/v1 XAI_API_KEY
302ai openai https://api.302.ai/v1 302AI_API_KEY
abacus openai https://routellm.abacus.ai/v1 ABACUS_API_KEY
aihubmix openai https://aihubmix.com/v1 AIHUBMIX_API_KEY
bailing openai https://api.tbox.cn/api/llm/v1 BAILING_API_TOKEN
berget openai https://api.berget.ai/v1 BERGET_API_KEY
chutes openai https://llm.chutes.ai/v1 CHUTES_API_KEY
cortecs openai https://api.cortecs.ai/v1 CORTECS_API_KEY
fastrouter openai https://go.fastrouter.ai/api/v1 FASTROUTER_API_KEY
firmware openai https://app.firmware.ai/api/v1 FIRMWARE_API_KEY
friendli openai https://api.friendli.ai/serverless/v1 FRIENDLI_TOKEN
github-models openai https://models.github.ai/inference GITHUB_TOKEN
helicone openai https://ai-gateway.helicone.ai/v1 HELICONE_API_KEY
huggingface openai https://router.huggingface.co/v1 HUGGINGFACE_HUB_TOKEN,HF_TOKEN,HUGGINGFACE_API_KEY
iflowcn openai https://apis.iflow.cn/v1 IFLOW_API_KEY
inception openai https://api.inceptionlabs.ai/v1 INCEPTION_API_KEY
inference openai https://inference.net/v1 INFERENCE_API_KEY
io-net openai https://api.intelligence.io.solutions/api/v1 IOINTELLIGENCE_API_KEY
jiekou openai https://api.jiekou.ai/openai JIEKOU_API_KEY
lucidquery openai https://lucidquery.com/api/v1 LUCIDQUERY_API_KEY
moark openai https://moark.com/v1 MOARK_API_KEY
morph openai https://api.morphllm.com/v1 MORPH_API_KEY
nano-gpt openai https://nano-gpt.com/api/v1 NANO_GPT_API_KEY
nova openai https://api.nova.amazon.com/v1 NOVA_API_KEY
novita-ai openai https://api.novita.ai/openai NOVITA_API_KEY
nvidia openai https://integrate.api.nvidia.com/v1 NVIDIA_API_KEY
poe openai https://api.poe.com/v1 POE_API_KEY
privatemode-ai openai http://localhost:8080/v1 PRIVATEMODE_API_KEY
requesty openai https://router.requesty.ai/v1 REQUESTY_API_KEY
submodel openai https://llm.submodel.ai/v1 SUBMODEL_INSTAGEN_ACCESS_KEY
synthetic openai https://api.synthetic.new/v1 SYNTHETIC_API_KEY
vivgrid openai https://api.vivgrid.com/v1 VIVGRID_API_KEY
vultr openai https://api.vultrinference.com/v1 VULTR_API_KEY
wandb openai https://api.inference.wandb.ai/v1 WANDB_API_KEY
xiaomi openai https://api.xiaomimimo.com/v1 XIAOMI_API_KEY
alibaba-cn openai https://dashscope.aliyuncs.com/compatible-mode/v1 DASHSCOPE_API_KEY
kimi-for-coding anthropic https://api.kimi.com/coding/v1/messages KIMI_API_KEY
minimax anthropic https://api.minimax.io/anthropic/v1/messages MINIMAX_API_KEY
minimax-cn anthropic https://api.minimaxi.com/anthropic/v1/messages MINIMAX_CN_API_KEY
minimax-coding-plan anthropic https://api.minimax.io/anthropic/v1/messages MINIMAX_API_KEY
minimax-cn-coding-plan anthropic https://api.minimaxi.com/anthropic/v1/messages MINIMAX_CN_API_KEY
modelscope openai https://api-inference.modelscope.cn/v1 MODELSCOPE_API_KEY
moonshotai-cn openai https://api.moonshot.cn/v1 MOONSHOT_API_KEY
nebius openai https://api.tokenfactory.nebius.com/v1 NEBIUS_API_KEY
ovhcloud openai https://oai.endpoints.kepler.ai.cloud.ovh.net/v1 OVHCLOUD_API_KEY
scaleway openai https://api.scaleway.ai/v1 SCALEWAY_API_KEY
stackit openai https://api.openai-compat.model-serving.eu01.onstackit.cloud/v1 STACKIT_API_KEY
siliconflow openai https://api.siliconflow.com/v1 SILICONFLOW_API_KEY
siliconflow-cn openai https://api.siliconflow.cn/v1 SILICONFLOW_CN_API_KEY
upstage openai https://api.upstage.ai/v1/solar UPSTAGE_API_KEY
venice openai https://api.venice.ai/api/v1 VENICE_API_KEY
zai openai https://api.z.ai/api/paas/v4 ZAI_API_KEY,Z_AI_API_KEY,ZHIPU_API_KEY
zai-coding-plan openai https://api.z.ai/api/coding/paas/v4 ZAI_API_KEY,Z_AI_API_KEY,ZHIPU_API_KEY
zhipuai openai https://open.bigmodel.cn/api/paas/v4 ZAI_API_KEY,Z_AI_API_KEY,ZHIPU_API_KEY
zhipuai-coding-plan openai https://open.bigmodel.cn/api/coding/paas/v4 ZAI_API_KEY,Z_AI_API_KEY,ZHIPU_API_KEY
baseten openai https://inference.baseten.co/v1 BASETEN_API_KEY
llama openai https://api.llama.com/compat/v1/ LLAMA_API_KEY
lmstudio openai http://127.0.0.1:1234/v1 LMSTUDIO_API_KEY
ollama-cloud openai https://ollama.com/v1 OLLAMA_API_KEY
opencode openai https://opencode.ai/zen/v1 OPENCODE_API_KEY,OPENCODE_ZEN_API_KEY
vercel openai https://ai-gateway.vercel.sh/v1 AI_GATEWAY_API_KEY
zenmux anthropic https://zenmux.ai/api/anthropic/v1/messages ZENMUX_API_KEY
cloudflare-ai-gateway openai https://gateway.ai.cloudflare.com/v1/{account_id}/{gateway_id}/openai CLOUDFLARE_API_TOKEN
cloudflare-workers-ai openai https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1 CLOUDFLARE_API_TOKEN
""".strip().splitlines()
]

ALIASES = {
    "gemini": "google",
    "moonshot": "moonshotai",
    "kimi": "moonshotai",
    "dashscope": "alibaba",
    "qwen": "alibaba",
    "fireworks-ai": "fireworks",
    "vertexai": "google-vertex",
    "bedrock": "amazon-bedrock",
    "sap": "sap-ai-core",
    "azure": "azure-openai",
    "azure-cognitive-services": "azure-openai",
    "copilot": "github-copilot",
    "gitlab-duo": "gitlab",
    "open-router": "openrouter",
}
ALIASES_OF_OTHERS = {
    "z.ai": "zai",
    "z-ai": "zai",
    "vercel-ai-gateway": "vercel",
    "kimi-coding": "kimi-for-coding",
    "kimi-code": "kimi-for-coding",
    "opencode-zen": "opencode",
    "bytedance": "volcengine",
    "doubao": "volcengine",
    "google-vertex-anthropic": "google-vertex",
}


def frozen(entry: CatalogProvider) -> ProviderEntry:
    """The form the gateway serves from."""
    return ProviderEntry(
        slug=entry.id,
        name=entry.name,
        family=entry.family,
        families=entry.families,
        base_url=entry.base_url,
        variables=tuple(Variable(v.name, v.env, v.default) for v in entry.variables),
        credential=entry.credential,
        credential_name=entry.credential_name,
        env_keys=entry.env_keys,
        aliases=entry.aliases,
        capabilities=entry.capabilities,
        streaming=entry.streaming,
        keyless=entry.keyless,
        quirks=entry.quirks,
        enabled=entry.enabled,
        deferred_to=entry.deferred_to,
        deferred_reason=entry.deferred_reason,
    )


def url_of(name: str, family: str = "", **variables: str) -> str:
    """Where a chat request to this provider goes, joined by the gateway's own rules."""
    entry = frozen(CATALOG.provider(name))
    account = AccountEntry(1, name, entry.slug, "", "", variables, False, Timeouts(), True)
    family = family or entry.family
    return call_url(base_url(entry, account, {}, family), family, "a-model")


def env(name: str) -> list[str]:
    return list(CATALOG.provider(name).env_keys)
