"""Requests for GitLab Duo's chat: the last thing the user said, and all that came before as context. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Misfit, Request, Target, Written
from providers.dialects.plain_text import BETWEEN, left_out, words_of

NAME: Final = "gitlab_duo"
#: GitLab refuses more.
MOST_CONTEXT: Final = 4096
MOST_BYTES: Final = 8 * 1024 * 1024


def write_request(request: Request, target: Target) -> Written:
    """Raises Misfit."""
    dropped = left_out(request)
    turns = [(message.role, words_of(message.parts, dropped)) for message in request.messages]
    if any(message.name for message in request.messages):
        dropped["name"] = None
    last = len(turns)
    while last and turns[last - 1][0] == "user":
        last -= 1
    asked = BETWEEN.join(text for _, text in turns[last:] if text)
    if not asked:
        raise Misfit("The last message must be the user's, and say something.", "messages", unsupported=True)
    context = [_item(at, role, text) for at, (role, text) in enumerate(turns[:last]) if text]
    if len(context) > MOST_CONTEXT or sum(len(item["content"].encode()) for item in context) > MOST_BYTES:
        raise Misfit(
            f"The conversation is too long for this model's provider: {MOST_CONTEXT} messages and "
            f"{MOST_BYTES // 1024 // 1024} MiB are the most.",
            "messages",
            unsupported=True,
        )
    body = {"content": asked, "with_clean_history": True, "additional_context": context}
    return Written(body, tuple(dropped))


def _item(at: int, role: str, text: str) -> dict[str, Any]:
    """GitLab knows files, issues and the like, and no roles: the name of the file tells whose words they are."""
    who = "system" if role == "developer" else role
    return {"category": "file", "id": f"{at:04}-{who}.txt", "content": text}
