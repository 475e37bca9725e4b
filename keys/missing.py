"""What a caller is told when no key can be used: the provider, where to enter one, and the variables' names. Pure."""

from __future__ import annotations

from keys.entries import KeySetEntry
from keys.environment import Asked, address_of_pattern, names_of_pattern, stem_of
from providers.entries import AccountEntry, ProviderEntry


def missing_key_message(
    provider: ProviderEntry, where: str, account: AccountEntry | None = None, key_set: KeySetEntry | None = None
) -> str:
    """The sentence of F-23, then the way out. `where` names the place in the admin ("account 'openai'").

    `key_set` is the shared one that the request would have used. Variables are named in the canonical order (R-39),
    also when the provider was asked for through an alias, and only those that the import reads for that account and
    set (P-06); no value of any, and nothing of another project, is in it (F-24, R-40).
    """
    message = f"API key not configured for provider '{provider.slug}'. Enter one in the admin under {where}"
    if key_set is not None:
        message += f", key set '{key_set.name}' (/admin/keys/providerkey/add/?key_set={key_set.id})"
        if not key_set.origin:
            message += f", once its address is complete (/admin/keys/keyset/{key_set.id}/change/)"
    names = _variables(provider, account, key_set)
    if names:
        message += f", or set {names} in Jackfield's environment and restart it"
    return message + "."


def _variables(provider: ProviderEntry, account: AccountEntry | None, key_set: KeySetEntry | None) -> str:
    """The variables that lead to a key there, as a phrase; "" if none does."""
    stem = stem_of(key_set.env_pattern) if key_set is not None else ""
    stem = stem or (stem_of(account.env_pattern) if account is not None else "")
    if not stem:
        own = account is None or account.name == provider.slug
        return " or ".join(provider.env_keys) if own else ""
    asked = Asked(
        slug=provider.slug,
        prefix=stem,
        env_keys=provider.env_keys,
        credential=provider.credential,
        variables={variable.name: variable.env for variable in provider.variables},
    )
    names = " or ".join(names_of_pattern(asked, stem))
    address = address_of_pattern(asked, stem) if key_set is not None and not key_set.origin else ""
    return f"{names}, and {address}," if address else names
