"""What /manage/ reads and writes. Names are those of the configuration document; no key material is in any of them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers

from api.manage.access import StrictSerializer
from api.models import UsageRecord
from keys.models import KeySet, Project
from keys.roles import NARROW
from providers.columns import valid_timeouts
from providers.families import FAMILIES
from providers.models import Account
from providers.names import valid_model_name
from routing.forms import free_for_model
from routing.models import Alias, GatewayProcess, Preference, PublicModel, Revision, Route
from routing.ordering import HOLDING
from routing.overview import Told
from routing.resolve import AUTO


class ObjectField(serializers.JSONField):
    """A JSON object."""

    def to_internal_value(self, data: Any) -> Any:
        found = super().to_internal_value(data)
        if not isinstance(found, dict):
            raise serializers.ValidationError("This is an object.")
        return found


class RouteSerializer(StrictSerializer):
    """One route: `account` by name, `model` the id upstream, `key_set` by name within the account."""

    account = serializers.SlugRelatedField(slug_field="name", queryset=Account.objects.all())
    model = serializers.CharField(source="upstream_model", max_length=191, validators=[valid_model_name])
    key_set = serializers.CharField(required=False, allow_null=True, source="key_set.name", default=None)
    quirks = ObjectField(required=False)

    class Meta:
        model = Route
        fields = (
            "account",
            "model",
            "key_set",
            "family",
            "infra",
            "priority",
            "weight",
            "enabled",
            "larger_context",
            "quirks",
        )

    def validate_family(self, value: str) -> str:
        if value and value not in FAMILIES:
            raise serializers.ValidationError("There is no family of this name.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = attrs.pop("key_set", None)
        name = named.get("name") if isinstance(named, dict) else None
        attrs["key_set"] = None
        if name:
            found = KeySet.objects.filter(account=attrs["account"], project=None, name=name).first()
            if found is None:
                raise serializers.ValidationError({"key_set": "The account has no shared key set of this name."})
            attrs["key_set"] = found
        return attrs


class ModelSerializer(StrictSerializer):
    """A public model with its routes and other names. A list that is given replaces the one that is there."""

    routes = RouteSerializer(many=True, required=False)
    aliases = serializers.ListField(
        child=serializers.CharField(max_length=191, validators=[valid_model_name]), required=False
    )

    class Meta:
        model = PublicModel
        fields = ("name", "service", "description", "enabled", *HOLDING, "routes", "aliases", "created_at")
        read_only_fields = ("created_at",)

    def to_representation(self, instance: PublicModel) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(_WithNames(instance))
        return shown

    def validate_name(self, value: str) -> str:
        try:
            free_for_model(value)
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.messages) from None
        return value

    def validate_aliases(self, value: list[str]) -> list[str]:
        taken = Alias.objects.filter(name__in=value)
        if self.instance is not None:
            taken = taken.exclude(model=self.instance)
        if (
            len(set(value)) != len(value)
            or taken.exists()
            or {AUTO, *PublicModel.objects.filter(name__in=value).values_list("name", flat=True)} & set(value)
        ):
            raise serializers.ValidationError("A name in this list is taken.")
        return value

    def create(self, validated_data: dict[str, Any]) -> PublicModel:
        routes, aliases = validated_data.pop("routes", None), validated_data.pop("aliases", None)
        row = PublicModel.objects.create(**validated_data)
        _set_routes(row, routes)
        _set_aliases(row, aliases)
        return row

    def update(self, instance: PublicModel, validated_data: dict[str, Any]) -> PublicModel:
        routes, aliases = validated_data.pop("routes", None), validated_data.pop("aliases", None)
        row: PublicModel = super().update(instance, validated_data)
        _set_routes(row, routes)
        _set_aliases(row, aliases)
        return PublicModel.objects.get(pk=row.pk)


class _WithNames:
    """A model whose aliases read as names."""

    def __init__(self, row: PublicModel) -> None:
        self._row = row
        self.aliases = [alias.name for alias in row.aliases.all()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def _set_routes(row: PublicModel, wanted: list[dict[str, Any]] | None) -> None:
    """Make the routes be these, keeping the rows of those that only changed."""
    if wanted is None:
        return
    held = {(route.account_id, route.upstream_model): route for route in row.routes.all()}
    for fields in wanted:
        route = held.pop((fields["account"].pk, fields["upstream_model"]), None) or Route(model=row)
        given = {
            "family": "",
            "infra": Route.Infra.API,
            "priority": 0,
            "weight": 1,
            "enabled": True,
            "larger_context": False,
            "quirks": {},
            **fields,
        }
        for name, value in given.items():
            setattr(route, name, value)
        try:
            route.full_clean(exclude=["model"])
        except DjangoValidationError as error:
            raise serializers.ValidationError({"routes": error.messages}) from None
        route.save()
    for route in held.values():
        route.delete()


def _set_aliases(row: PublicModel, wanted: list[str] | None) -> None:
    if wanted is None:
        return
    held = {alias.name: alias for alias in row.aliases.all()}
    for name in wanted:
        if held.pop(name, None) is None:
            Alias.objects.create(name=name, model=row)
    for alias in held.values():
        alias.delete()


class AccountSerializer(StrictSerializer):
    """An account. Where its keys are sent is read here and written in the admin, which says what that does to keys."""

    provider: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    timeouts = ObjectField(required=False, validators=[valid_timeouts])
    changeable: ClassVar[frozenset[str] | None] = NARROW["providers.account"]

    class Meta:
        model = Account
        fields = (
            *("name", "provider", "family", "base_url", "variables", "private_network", "worker_hosts"),
            *("timeouts", "probe", "probe_interval", "probe_cost", "enabled"),
        )
        read_only_fields = (
            *("name", "provider", "family", "base_url", "variables", "private_network", "worker_hosts", "probe_cost"),
        )


class ProjectSerializer(StrictSerializer):
    """A project with what it may use and what `auto` means for it."""

    default_model = serializers.CharField(
        source="preference.default_model", required=False, allow_blank=True, max_length=191
    )
    preferred = serializers.ListField(
        child=serializers.CharField(max_length=191), source="preference.preferred", required=False
    )
    allow = serializers.ListField(
        child=serializers.CharField(max_length=191), source="preference.allow", required=False
    )
    strict = serializers.BooleanField(source="preference.strict", required=False)

    class Meta:
        model = Project
        fields = ("name", "description", "enabled", "default_model", "preferred", "allow", "strict")

    def validate_default_model(self, value: str) -> str:
        return _names([value])[0]

    def validate_preferred(self, value: list[str]) -> list[str]:
        return _names(value)

    def validate_allow(self, value: list[str]) -> list[str]:
        _names([pattern.replace("*", "x").replace("?", "x") for pattern in value])
        return value

    def create(self, validated_data: dict[str, Any]) -> Project:
        preference = validated_data.pop("preference", {})
        row = Project.objects.create(**validated_data)
        Preference.objects.create(project=row, **preference)
        return row

    def update(self, instance: Project, validated_data: dict[str, Any]) -> Project:
        preference = validated_data.pop("preference", {})
        row: Project = super().update(instance, validated_data)
        if preference:
            held = Preference.objects.filter(project=row).first() or Preference(project=row)
            for name, value in preference.items():
                setattr(held, name, value)
            held.save()
        return Project.objects.select_related("preference").get(pk=row.pk)


def _names(values: list[str]) -> list[str]:
    for value in values:
        if value:
            try:
                valid_model_name(value)
            except DjangoValidationError as error:
                raise serializers.ValidationError(error.messages) from None
    return values


class RevisionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Revision
        fields = ("number", "at", "author_name", "note")


class ProcessSerializer(serializers.ModelSerializer):
    class Meta:
        model = GatewayProcess
        fields = ("name", "revision", "applied_at", "seen_at", "problem")


def place(row: Told) -> dict[str, Any]:
    """One place of /manage/health/. Seconds; null is unknown."""
    figures, probe = row.figures, row.probe
    return {
        "account": row.account,
        "provider": row.provider,
        "model": row.model,
        "circuit": figures.circuit,
        "rests": round(figures.rests, 1),
        "in_flight": figures.in_flight,
        **{name: getattr(figures, name) for name in ("first_byte", "first_byte_p95", "total", "total_p95")},
        "error_rate": figures.error_rate,
        "served": round(figures.served, 2),
        "failures": {kind.value: round(count, 2) for kind, count in figures.failures.items()},
        "heard": round(figures.heard or 0.0, 1),
        "probe": None
        if probe is None
        else {"at": probe.at, "outcome": probe.outcome, "detail": probe.detail, "took_ms": probe.took_ms},
    }


class UsageSerializer(serializers.ModelSerializer):
    class Meta:
        model = UsageRecord
        exclude = ("token_id",)
