"""Real agents make a file through the gateway: Codex by the Responses API, Claude Code by Anthropic's Messages."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.scripted import Ask, Scripted
from tests.smoke.acting import CONTENT, MADE, SIGNATURE, Actor
from tests.smoke.front import FAMILIES, Front
from tests.smoke.packages import program
from tests.smoke.rows import Row

TASK = f"Make a file {MADE} that says {CONTENT}."
AGAIN = "And what did you do?"
Command = tuple[list[str | Path], dict[str, str]]


def check(front: Front, actor: Actor) -> Iterator[Row]:
    for model in FAMILIES:
        for agent in ("codex", "claude-code"):
            upstream = front.upstreams[model]
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                actor.folder = work = Path(folder)
                yield Row(agent, model, _made(front, agent, model, work, upstream))
                yield Row(f"{agent}, resumed", model, _resumed(front, agent, model, work, upstream))
        yield Row("claude-code /context", model, _counted(front, model))
    yield Row("claude-code's betas", "anthropic", _same_betas(front, actor))


def _made(front: Front, agent: str, model: str, work: Path, upstream: Scripted) -> str:
    upstream.asks.clear()
    command, env = _codex(front, model) if agent == "codex" else _claude(front.url, front.token, model)
    done = front.run(command, work, env)
    made = work / MADE
    if done.returncode or not made.exists() or made.read_text().strip() != CONTENT:
        return f"exit {done.returncode}: {(done.stdout + done.stderr)[-600:]}"
    if "Done:" not in done.stdout:
        return f"the last word did not arrive: {done.stdout[-300:]}"
    return _heard(agent, model, upstream.asks)


def _resumed(front: Front, agent: str, model: str, work: Path, upstream: Scripted) -> str:
    """Another process goes on with the session. Agents keep it themselves, so all of it must arrive upstream."""
    upstream.asks.clear()
    if agent == "codex":
        command, env = _codex(front, model, "resume", "--last", prompt=AGAIN)
    else:
        command, env = _claude(front.url, front.token, model, "--continue", prompt=AGAIN)
    done = front.run(command, work, env)
    if done.returncode or "Done:" not in done.stdout:
        return f"exit {done.returncode}: {(done.stdout + done.stderr)[-600:]}"
    last = next((ask for ask in upstream.asks if any(AGAIN in text for text in ask.heard.users)), None)
    if last is None:
        return "the question did not arrive"
    heard = last.heard
    if not (any(TASK in text for text in heard.users) and heard.calls and heard.results and heard.said):
        return f"the beginning did not arrive: {heard}"
    return _heard(agent, model, upstream.asks)


def _counted(front: Front, model: str) -> str:
    """Claude Code has its context counted, part by part: by Anthropic's upstream, or else by the gateway."""
    upstream = front.upstreams[model]
    upstream.asks.clear()
    command, env = _claude(front.url, front.token, model, prompt="/context")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        done = front.run(command, Path(folder), env)
    if done.returncode or "System tools" not in done.stdout:
        return f"exit {done.returncode}: {(done.stdout + done.stderr)[-600:]}"
    if any(ask.heard.users for ask in upstream.asks):
        return "the upstream was asked for answers where tokens were to be counted"
    return "" if model != "anthropic" or upstream.asks else "the upstream that counts was not asked"


def _same_betas(front: Front, actor: Actor) -> str:
    """What `anthropic-beta` says at the upstream, per path, is what Claude Code says without a gateway between."""
    upstream = front.upstreams["anthropic"]
    said = []
    for url, token in ((upstream.origin, "straight"), (front.url, front.token)):
        upstream.asks.clear()
        for prompt in ("/context", TASK):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                actor.folder = Path(folder)
                command, env = _claude(url, token, "anthropic", prompt=prompt)
                front.run(command, Path(folder), env)
        said.append({(ask.path.partition("?")[0], ask.headers.get("anthropic-beta", "")) for ask in upstream.asks})
    straight, through = said
    if straight != through:
        return f"lost {sorted(straight - through)}, made {sorted(through - straight)}"
    counting = any("count_tokens" in path and "token-counting" in betas for path, betas in through)
    return "" if counting and len(through) > 1 else f"there were no betas to compare: {sorted(through)}"


def _heard(agent: str, model: str, asks: list[Ask]) -> str:
    """What must have arrived upstream after the tool ran."""
    last = next((ask for ask in reversed(asks) if ask.heard.results), None)
    if last is None:
        return "the tool's result did not arrive"
    if model != "chat" and SIGNATURE not in json.dumps(last.json):
        return "the thought's signature did not come back"
    if agent == "claude-code" and model == "anthropic" and not last.headers.get("anthropic-beta"):
        return "anthropic-beta was not forwarded"
    if model == "anthropic":
        return ""
    return "anthropic-beta went to another API" if last.headers.get("anthropic-beta") else ""


def _codex(front: Front, model: str, *words: str, prompt: str = TASK) -> Command:
    provider = f'{{name="Jackfield",base_url="{front.url}/v1",env_key="JACKFIELD_TOKEN",wire_api="responses"}}'
    settings = ["-c", 'model_provider="jackfield"', "-c", f"model_providers.jackfield={provider}", "-m", model]
    free = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return [program("codex"), "exec", *words, *free, *settings, prompt], {"JACKFIELD_TOKEN": front.token}


def _claude(url: str, token: str, model: str, *words: str, prompt: str = TASK) -> Command:
    env = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": token,
        "ANTHROPIC_SMALL_FAST_MODEL": model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return [program("claude"), *words, "-p", prompt, "--model", model, "--allowedTools", "Write"], env
