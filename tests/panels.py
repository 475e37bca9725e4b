"""A small panel by hand, frozen without a database: what tests of the resolver resolve in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from keys.entries import ProjectEntry
from providers.entries import AccountEntry, FactsEntry, ProviderEntry, Timeouts
from providers.families import OPENAI_CHAT
from routing.candidates import Candidate, Unresolved
from routing.draft import Draft
from routing.resolve import Ask, Plan, resolve
from routing.snapshot import EMPTY, PreferenceEntry, PrefixEntry, RouteEntry, Snapshot
from routing.tables import ModelRow

DEMO = 1


CHAT = "openai-completions"


OPENAI_PREFIXES = (
    *("gpt-", "o1", "o1-", "o3", "o3-", "o4", "o4-", "chatgpt-", "text-embedding-", "whisper-", "dall-e-", "tts-"),
)


BEDROCK_PREFIXES = ("anthropic.", "amazon.", "meta.", "mistral.", "cohere.", "ai21.")


@dataclass
class Panel:
    """A snapshot in a few lines."""

    draft: Draft = field(default_factory=lambda: Draft(EMPTY, 1))
    count: int = 0

    def next(self) -> int:
        self.count += 1
        return self.count

    def provider(self, slug: str, **values) -> Panel:
        given = {
            "name": slug,
            "family": CHAT,
            "families": {},
            "base_url": f"https://{slug}.example/v1",
            "variables": (),
            "credential": "bearer",
            "credential_name": "",
            "env_keys": (),
            "aliases": (),
            "capabilities": (),
            "streaming": True,
            "keyless": False,
            "quirks": {},
            "enabled": True,
            "deferred_to": "",
            "deferred_reason": "",
            **values,
        }
        self.draft.put_providers([(self.next(), ProviderEntry(slug=slug, **given))])
        return self

    def account(self, name: str, provider: str = "", *, family: str = "", enabled: bool = True) -> Panel:
        entry = AccountEntry(self.next(), name, provider or name, family, "", {}, False, Timeouts(), enabled)
        self.draft.put_accounts([entry])
        return self

    def model(self, name: str, *routes: tuple, enabled: bool = True, **held: Any) -> Panel:
        """Routes: (account name, upstream model[, {priority, weight, enabled, family, quirks}])."""
        pk = self.next()
        entries = []
        for account, upstream, *more in routes:
            values = {
                "priority": 0,
                "weight": 1,
                "enabled": True,
                "family": "",
                "quirks": {},
                **(more[0] if more else {}),
            }
            entry = RouteEntry(
                id=self.next(),
                account_id=self.draft.seen("account_ids")[account],
                upstream_model=upstream,
                key_set_id=None,
                infra="api",
                **values,
            )
            entries.append((pk, entry))
        entries.sort(key=lambda pair: (pair[1].priority, pair[1].id))
        self.draft.put_models([ModelRow(pk, name, "text", "", enabled, 0, **held)], entries, lambda: None)
        return self

    def alias(self, name: str, model: str) -> Panel:
        self.draft.put_aliases([(self.next(), name, model)])
        return self

    def prefix(self, prefix: str, provider: str, strip: bool = False) -> Panel:
        self.draft.put_prefixes([(self.next(), PrefixEntry(prefix, provider, strip))])
        return self

    def facts(self, provider: str, model: str, **values) -> Panel:
        self.draft.put_facts([(self.next(), FactsEntry(provider, model, **values))])
        return self

    def project(self, allow=(), preferred=(), default: str = "", pk: int = DEMO) -> Panel:
        self.draft.put_projects([(ProjectEntry(pk, f"p{pk}", True), True)])
        self.draft.put_preferences([(self.next(), PreferenceEntry(pk, default, tuple(preferred), tuple(allow)))])
        return self

    def freeze(self) -> Snapshot:
        return self.draft.freeze(0.0)


def panel() -> Panel:
    """A few providers of each kind, in small."""
    made = Panel()
    for slug in ("openai", "anthropic", "google", "deepseek", "openrouter"):
        made.provider(slug).account(slug)
    made.provider("zai", aliases=("z.ai", "z-ai")).account("zai")
    made.provider("amazon-bedrock", aliases=("bedrock",)).account("amazon-bedrock")
    made.provider("theta", streaming=False).account("theta")
    made.provider("vercel", aliases=("vercel-ai-gateway",)).account("vercel")
    made.provider("v0", deferred_to="vercel", deferred_reason="Its API is no model API.")
    for prefix in OPENAI_PREFIXES:
        made.prefix(prefix, "openai")
    made.prefix("claude-", "anthropic").prefix("gemini-", "google")
    for prefix in BEDROCK_PREFIXES:
        made.prefix(prefix, "amazon-bedrock")
    made.prefix("bedrock/", "amazon-bedrock", True).prefix("deepseek/", "deepseek", True).prefix(
        "theta/", "theta", True
    )
    made.model("openai", ("zai", "glm-4.7")).model("mistral", ("google", "mistral-small"))
    made.model("gpt-best", ("openai", "gpt-4o-2024-08-06")).alias("best", "gpt-best")
    made.facts("openrouter", "openai/gpt-4o-mini", aliases=("gpt-4o-mini",))
    return made


@dataclass
class Given:
    """A moment as a test has it."""

    available: Callable[[Candidate], str | None] = lambda candidate: None
    speed: Callable[[Candidate], float | None] = lambda candidate: None
    busy: Callable[[Candidate], int] = lambda candidate: 0

    resting: Callable[[Candidate], str | None] = lambda candidate: None

    def rests(self, candidate: Candidate) -> str | None:
        return self.resting(candidate)

    def why_not(self, candidate: Candidate) -> str | None:
        return self.available(candidate)

    def latency(self, candidate: Candidate) -> float | None:
        return self.speed(candidate)

    def in_flight(self, candidate: Candidate) -> int:
        return self.busy(candidate)


def planned(snapshot: Snapshot, project: int, name: str, dialect: str = "", draw: float = 0.0, **more: Any) -> Plan:
    """`more`: what Given takes, and what else of Ask."""
    now = Given(**{key: more.pop(key) for key in ("available", "speed", "busy", "resting") if key in more})
    return resolve(snapshot, now, Ask(project, name, dialect, draw=draw, **more))


def place(snapshot: Snapshot, name: str, project: int = DEMO, **more) -> tuple[str, str]:
    first = planned(snapshot, project, name, OPENAI_CHAT, **more).candidates[0]
    return first.account.name, first.upstream_model


def refusal(snapshot: Snapshot, name: str, project: int = DEMO, **more) -> Unresolved:
    with pytest.raises(Unresolved) as caught:
        planned(snapshot, project, name, OPENAI_CHAT, **more)
    return caught.value
