"""The form of a new token: what it is for, and who may make one of its kind."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from keys import tokens
from keys.models import ApiToken

#: Kinds of tokens that only who enters keys may issue: one reads all figures, the other says where requests go.
NOT_OPERATORS: Final = frozenset({ApiToken.Kind.ADMIN, ApiToken.Kind.FLEET})


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """What a new token is for. Its text is made, never entered."""

    class Meta:
        model = ApiToken
        fields = ("kind", "project", "account", "name", "expires_at")

    def clean(self) -> dict[str, Any]:
        """A token is a project's, or, of the kind for fleets, an account's."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        fleet = found.get("kind") == ApiToken.Kind.FLEET
        for name, wanted in (("project", not fleet), ("account", fleet)):
            if not wanted:
                found[name] = None
            elif found.get(name) is None and name not in self.errors:
                self.add_error(name, f"A token of this kind belongs to one {name}.")
        return found

    def clean_expires_at(self) -> Any:
        try:
            return tokens.checked_expiry(self.cleaned_data["expires_at"])
        except tokens.TokenError as error:
            raise ValidationError(str(error)) from None
