"""Forms of the routing tables, checked on entry: what the admin's pages of models and projects share."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminSelect2Widget, UnfoldAdminTextInputWidget

from providers.models import Account
from providers.names import valid_model_name
from routing.checks import MAX_WEIGHT, RESERVED
from routing.models import Alias, Preference, PublicModel, Route
from routing.ordering import HOLDING
from routing.resolve import AUTO


def free_for_model(name: str) -> None:
    """Refuse the name of an alias, and `auto`, for a public model. Raises ValidationError."""
    if name == AUTO or Alias.objects.filter(name=name).exists():
        raise ValidationError("This name is taken: it is another name of a model, or means something else.")


def free_for_alias(name: str) -> None:
    """Refuse the name of a public model, and `auto`, for an alias. Raises ValidationError."""
    if name == AUTO or PublicModel.objects.filter(name=name).exists():
        raise ValidationError("This name is taken: it is a public model's, or means something else.")


class ModelForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A public model whose name nothing else has."""

    class Meta:
        model = PublicModel
        fields = ("name", "service", "description", "enabled", *HOLDING)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        free_for_model(name)
        return name


class AliasForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Another name that no public model has."""

    class Meta:
        model = Alias
        fields = ("name", "model")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        free_for_alias(name)
        return name


class RouteForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A route whose key set, if it names one, belongs to its account."""

    class Meta:
        model = Route
        fields = (
            "account",
            "upstream_model",
            "key_set",
            "family",
            "priority",
            "weight",
            "enabled",
            "larger_context",
            "quirks",
        )
        labels = {"model": "Public model", "infra": "Served by"}
        help_texts = {
            "family": "Only if this route speaks another API than its account.",
            "priority": "Lower numbers are tried first.",
            "weight": "Routes of one priority share the requests by weight.",
        }

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        key_set, account = found.get("key_set"), found.get("account")
        if key_set is not None and account is not None and key_set.account_id != account.pk:
            self.add_error("key_set", f"This key set belongs to {key_set.account.name}, not to {account.name}.")
        if key_set is not None and key_set.project_id is not None:
            self.add_error("key_set", "This key set is one project's own: a route may name shared ones only.")
        for name in ("priority", "weight"):
            if (found.get(name) or 0) > MAX_WEIGHT:
                self.add_error(name, f"At most {MAX_WEIGHT:,}.")
        return found


class RepatchForm(forms.Form):
    """Where the selected models are to go."""

    account = forms.ModelChoiceField(
        Account.objects.filter(enabled=True).select_related("provider"), widget=UnfoldAdminSelect2Widget
    )
    upstream_model = forms.CharField(
        required=False,
        max_length=191,
        validators=[valid_model_name],
        widget=UnfoldAdminTextInputWidget,
        help_text="Empty: each model keeps its upstream model id.",
    )


class PreferenceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Names and patterns that could be names."""

    class Meta:
        model = Preference
        fields = ("project", "default_model", "preferred", "allow", "strict")
        labels = {"preferred": "Preferred models", "allow": "Allowlist"}
        help_texts = {"default_model": "Of a request that names no model, and of auto where nothing is preferred."}

    def clean_default_model(self) -> str:
        return _model_names([self.cleaned_data["default_model"]])[0]

    def clean_preferred(self) -> list[str]:
        return single_models(self.cleaned_data["preferred"])

    def clean_allow(self) -> list[str]:
        patterns = self.cleaned_data["allow"]
        _model_names([pattern.replace("*", "x").replace("?", "x") for pattern in patterns])
        return list(patterns)


def single_models(names: list[str]) -> list[str]:
    """The names, if each could be one model's. Raises ValidationError."""
    for name in names:
        if name.strip() in RESERVED or "*" in name or "?" in name:
            raise ValidationError(f"'{name[:60]}' cannot be preferred, it names no single model.")
    return _model_names(names)


def _model_names(names: list[str]) -> list[str]:
    for name in names:
        if name:
            valid_model_name(name)
    return names
