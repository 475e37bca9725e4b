"""Real agents make a file through the gateway: Codex by the Responses API, Claude Code by Anthropic's Messages."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.scripted import Ask
from tests.smoke.acting import CONTENT, MADE, SIGNATURE, Actor
from tests.smoke.front import FAMILIES, Front
from tests.smoke.packages import program

TASK = f"Make a file {MADE} that says {CONTENT}."
#: (who, model, what went wrong; empty: nothing)
Row = tuple[str, str, str]


def check(front: Front, actor: Actor) -> Iterator[Row]:
    for model in FAMILIES:
        yield "codex", model, _one(front, actor, model, "codex")
        yield "claude-code", model, _one(front, actor, model, "claude")
        yield "claude-code /context", model, _counted(front, model)


def _one(front: Front, actor: Actor, model: str, agent: str) -> str:
    upstream = front.upstreams[model]
    upstream.asks.clear()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        actor.folder = work = Path(folder)
        command, env = (_codex if agent == "codex" else _claude)(front, model)
        done = front.run(command, work, env)
        made = work / MADE
        if done.returncode or not made.exists() or made.read_text().strip() != CONTENT:
            return f"exit {done.returncode}: {(done.stdout + done.stderr)[-600:]}"
    if "Done:" not in done.stdout:
        return f"the last word did not arrive: {done.stdout[-300:]}"
    return _heard(agent, model, upstream.asks)


def _counted(front: Front, model: str) -> str:
    """Claude Code has its context counted, part by part: by Anthropic's upstream, or else by the gateway."""
    upstream = front.upstreams[model]
    upstream.asks.clear()
    (agent, how, _, *more), env = _claude(front, model)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        done = front.run([agent, how, "/context", *more], Path(folder), env)
    if done.returncode or "System tools" not in done.stdout:
        return f"exit {done.returncode}: {(done.stdout + done.stderr)[-600:]}"
    if any(ask.heard.users for ask in upstream.asks):
        return "the upstream was asked for answers where tokens were to be counted"
    betas = [ask.headers.get("anthropic-beta", "") for ask in upstream.asks]
    if model == "anthropic" and not (betas and all("token-counting" in beta for beta in betas)):
        return f"anthropic-beta was not forwarded: {betas}"
    return ""


def _heard(agent: str, model: str, asks: list[Ask]) -> str:
    """What must have arrived upstream after the tool ran."""
    last = next((ask for ask in reversed(asks) if ask.heard.results), None)
    if last is None:
        return "the tool's result did not arrive"
    if model != "chat" and SIGNATURE not in json.dumps(last.json):
        return "the thought's signature did not come back"
    if agent == "claude" and model == "anthropic" and not last.headers.get("anthropic-beta"):
        return "anthropic-beta was not forwarded"
    return ""


def _codex(front: Front, model: str) -> tuple[list[str | Path], dict[str, str]]:
    provider = f'{{name="Jackfield",base_url="{front.url}/v1",env_key="JACKFIELD_TOKEN",wire_api="responses"}}'
    settings = ["-c", 'model_provider="jackfield"', "-c", f"model_providers.jackfield={provider}", "-m", model]
    free = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return [program("codex"), "exec", *free, *settings, TASK], {"JACKFIELD_TOKEN": front.token}


def _claude(front: Front, model: str) -> tuple[list[str | Path], dict[str, str]]:
    env = {
        "ANTHROPIC_BASE_URL": front.url,
        "ANTHROPIC_AUTH_TOKEN": front.token,
        "ANTHROPIC_SMALL_FAST_MODEL": model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return [program("claude"), "-p", TASK, "--model", model, "--allowedTools", "Write"], env
