"""What some columns may hold, checked wherever they are entered: in the admin of several rooms and over /manage/."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminSelectWidget

from providers.credentials import SCHEMES
from providers.entries import Timeouts
from providers.families import FAMILIES
from providers.hosts import BadUrl, check_template
from providers.workers import bad_patterns

#: How each scheme puts a key on a request.
_PUT_ON: Final = {
    "bearer": "Authorization: Bearer …",
    "header": "a header of its own",
    "query": "a query parameter",
    "none": "nothing is sent",
    "sigv4": "AWS's signature, or a Bedrock API key as bearer",
    "oauth2-client": "a service key, exchanged for a bearer token",
    "google-adc": "a key file, exchanged for a bearer token, or a token as it is",
    "google-login": "a person's sign-in with Google, exchanged for a bearer token, or a token as it is",
    "device-code": "what signing in gave, renewed as bearer token",
    "copilot": "a GitHub token, exchanged for a Copilot token",
}
_UNSET: Final = "---------"


class KnownField(forms.ChoiceField):
    """One of the names we know. No choice comes first: a stored name that is not known is not taken for another."""

    def __init__(self, known: Iterable[tuple[str, str]], *, empty: str = _UNSET, **given: Any) -> None:
        super().__init__(choices=[("", empty), *known], widget=UnfoldAdminSelectWidget, **given)


class FamilyField(KnownField):
    """The name of a known family."""

    def __init__(self, **given: Any) -> None:
        known = [(name, name if family.is_served else f"{name} (not served yet)") for name, family in FAMILIES.items()]
        super().__init__(known, **given)


class CredentialField(KnownField):
    """The name of a known way to put a key on a request."""

    def __init__(self, **given: Any) -> None:
        meant = {name: _PUT_ON.get(name, "") if signer else "cannot be signed yet" for name, signer in SCHEMES.items()}
        super().__init__([(name, f"{name} ({text})" if text else name) for name, text in meant.items()], **given)


def valid_timeouts(value: dict[str, Any]) -> None:
    """Seconds above 0 for the phases that there are."""
    phases = Timeouts.__struct_fields__
    for name, seconds in value.items():
        if name not in phases:
            raise ValidationError(f"There is no phase {name!r}. Phases: {', '.join(phases)}.")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 86_400:
            raise ValidationError(f"{name} is a number of seconds above 0 and at most 86400.")


def valid_variables(value: dict[str, Any]) -> None:
    """Texts without characters that could leave their place in a URL or a header."""
    for name, text in value.items():
        if not isinstance(text, str) or not text.isprintable():
            raise ValidationError(f"{name} is a text of printable characters.")


def valid_worker_hosts(value: list[str]) -> None:
    """Names, *.names and networks."""
    faults = bad_patterns(value)
    if faults:
        raise ValidationError(faults)


def valid_base_url(value: str) -> None:
    """What a document may say too: a URL with its scheme and a host, or a template of one."""
    try:
        check_template(value)
    except BadUrl as error:
        raise ValidationError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def valid_families(value: dict[str, Any]) -> None:
    """Known families, each with its base URL."""
    for family, url in value.items():
        if family not in FAMILIES:
            raise ValidationError(f"There is no family {family!r}. Known: {', '.join(sorted(FAMILIES))}.")
        if not isinstance(url, str):
            raise ValidationError(f"The base URL of {family} is a text.")
        valid_base_url(url)
