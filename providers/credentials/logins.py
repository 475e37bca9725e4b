"""Who can be signed in to with a code: the provider's id, and its issuer's flow. Pure.

Public clients have no secret. The ids are those of the vendors' own programs: their issuers know no others.
"""

from __future__ import annotations

from typing import Final

from providers.credentials.codex_login import CodexLogin
from providers.credentials.device_flow import Flow, Login

LOGINS: Final[dict[str, Flow]] = {
    "qwen-portal": Login(
        "qwen-portal",
        "https://chat.qwen.ai/api/v1/oauth2/device/code",
        "https://chat.qwen.ai/api/v1/oauth2/token",
        "f0304373b74a44d2b584a3fb70ca9e56",
        "openid profile email model.completion",
        pkce=True,
        pair=True,
    ),
    "github-copilot": Login(
        "github-copilot",
        "https://github.com/login/device/code",
        "https://github.com/login/oauth/access_token",
        "Iv1.b507a08c87ecfe98",
        "read:user",
    ),
    "openai-codex": CodexLogin("openai-codex", "https://auth.openai.com", "app_EMoamEEZ73f0CkXaXp7hrann"),
}
