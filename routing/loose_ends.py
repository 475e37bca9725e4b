"""What a valid configuration leaves open: routes that could not serve a request now, preferences that name no model.

None of it refuses a snapshot, since a model may be patched before its account has a key. It is told to whoever applies
a document or asks the doctor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from keys.vault import why_closed
from providers.families import OPENAI_CHAT, choose
from providers.hosts import BadUrl, base_url
from routing.document_schema import nearest
from routing.questions import endpoint_for
from routing.serving import not_allowed, of_any_request
from routing.snapshot import TEXT, RouteEntry, Snapshot


def why_not(snapshot: Snapshot, route: RouteEntry, service: str = TEXT) -> str:
    """Why this route of a model of this service could not serve anybody's request now, or nothing."""
    found = of_any_request(snapshot, route, endpoint_for(service).dialect, why_closed)
    return found[0].text if found else ""


def not_reachable(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """(account, reason) for each account that is in use and whose URL nothing would be sent to."""
    for account in snapshot.accounts.values():
        provider = snapshot.providers[account.provider]
        if not account.enabled or not provider.enabled or provider.deferred_to:
            continue
        family = choose(OPENAI_CHAT, provider.family, provider.families, account.family)
        for entry in snapshot.key_sets.get(account.id, ()):
            with contextlib.suppress(BadUrl):
                reason = not_allowed(base_url(provider, account, entry.variables, family), account.private_network)
                if reason:
                    yield account.name, reason
                    break


def lost_preferences(snapshot: Snapshot) -> Iterator[tuple[str, str, str]]:
    """(project, name, hint) for each preferred or default model that is no model, alias, ref or prefixed name."""
    names = snapshot.models.keys() | snapshot.aliases.keys()
    for preference in snapshot.preferences.values():
        project = snapshot.projects[preference.project_id].name
        wanted = [name for name in (preference.default_model, *preference.preferred) if name and name != "auto"]
        for name in dict.fromkeys(wanted):
            known = name in names or "/" in name or any(name.startswith(rule.prefix) for rule in snapshot.prefixes)
            if not known:
                yield project, name, nearest(name, names)
