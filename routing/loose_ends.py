"""What a valid configuration leaves open: routes that could not serve a request now, preferences that name no model.

None of it refuses a snapshot, since a model may be patched before its account has a key. It is told to whoever applies
a document or asks the doctor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from providers.credentials import SCHEMES
from providers.egress import check_url
from providers.families import FAMILIES, OPENAI_CHAT, choose
from providers.hosts import BadUrl, UnfilledVariable, base_url
from routing.document_schema import nearest
from routing.snapshot import RouteEntry, Snapshot


def why_not(snapshot: Snapshot, route: RouteEntry) -> str:
    """Why this route could not serve a request now, or nothing."""
    account = snapshot.accounts[route.account_id]
    provider = snapshot.providers[account.provider]
    if provider.deferred_to:
        return f"provider {provider.slug} cannot be served, the nearest is {provider.deferred_to}"
    if not provider.enabled:
        return f"provider {provider.slug} is switched off"
    if not account.enabled:
        return f"account {account.name} is switched off"
    family = choose(OPENAI_CHAT, provider.family, provider.families, route.family or account.family)
    if family not in FAMILIES or not FAMILIES[family].is_served:
        return f"requests of the family {family} cannot be sent yet"
    if SCHEMES.get(provider.credential) is None:
        return f"the credential {provider.credential} cannot be used yet"
    sets = [
        entry
        for entry in snapshot.key_sets.get(account.id, ())
        if route.key_set_id is None or entry.id == route.key_set_id
    ]
    if not provider.keyless and not any(key.enabled for entry in sets for key in entry.keys):
        return f"account {account.name} has no key"
    errors = []
    for variables in [entry.variables for entry in sets] or [{}]:
        try:
            url = base_url(provider, account, variables, family)
        except UnfilledVariable as error:
            errors.append(f"account {account.name} lacks the variable '{error.name}'")
        except BadUrl as error:
            errors.append(f"account {account.name}: {error}")
        else:
            reason = not_allowed(url, account.private_network)
            if not reason:
                return ""
            errors.append(f"account {account.name}: {reason}")
    return errors[0]


def not_allowed(url: str, private: bool) -> str:
    """Why nothing would be sent to this URL, or nothing: plain HTTP and private addresses must be allowed first."""
    reason = check_url(url, private)
    if reason is None:
        return ""
    off = " while the account's private_network is off" if check_url(url, True) is None else ""
    return f"nothing is sent to {url}{off} ({reason})"


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
