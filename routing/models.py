"""Public models and what they are patched to, what projects may use, and the numbered history of all of it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from keys.models import ApiToken, KeySet, Project
from providers.config import ConfigRow
from providers.models import Account, Provider
from providers.names import valid_model_name
from routing import ordering
from routing.checks import RESERVED
from routing.hedging import valid_hedge


class PublicModel(ConfigRow):
    """A name that applications ask for."""

    class Service(models.TextChoices):
        TEXT = "text"
        IMAGE = "image"
        VIDEO = "video"
        AUDIO = "audio"
        EMBEDDING = "embedding"

    class Strategy(models.TextChoices):
        """The words of routing.ordering.Strategy."""

        WEIGHTED = ordering.Strategy.WEIGHTED.value, "By weight"
        LATENCY = ordering.Strategy.LATENCY.value, "Quickest to the first byte"
        LEAST_BUSY = ordering.Strategy.LEAST_BUSY.value, "Fewest requests in hand"
        COST = ordering.Strategy.COST.value, "Cheapest"
        IN_ORDER = ordering.Strategy.IN_ORDER.value, "In order"

    name = models.CharField(max_length=191, unique=True, validators=[valid_model_name])
    service = models.CharField(max_length=10, choices=Service.choices, default=Service.TEXT)
    description = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    strategy = models.CharField(
        max_length=12,
        choices=Strategy.choices,
        default=Strategy.WEIGHTED,
        db_default=Strategy.WEIGHTED,
        help_text="What decides between routes of one priority.",
    )
    sticky = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Requests of one conversation go to the same route while it is well, for its prompt cache.",
    )
    content_fallback = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Where a route refuses a request for its content, ask the next one.",
    )
    hedge_after = models.CharField(
        max_length=12,
        blank=True,
        default="",
        db_default="",
        validators=[valid_hedge],
        help_text="Ask the next route as well where no answer began in this time: 800 ms, 2 s, or p95 of the route's "
        "own times. The first to begin serves, the other is given up. Empty: never.",
    )
    hedge_daily = models.PositiveIntegerField(
        default=1000,
        db_default=1000,
        help_text="The most requests a day (UTC) that may be asked twice for that.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    catalog = models.JSONField(default=dict, blank=True, editable=False)

    volatile_fields: ClassVar[tuple[str, ...]] = ("catalog",)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse on entry what would make the next snapshot be refused."""
        if self.name in RESERVED:
            raise ValidationError({"name": f"'{self.name}' is a word of the API and cannot name a model."})
        if Alias._base_manager.filter(name=self.name).exists():
            raise ValidationError({"name": f"'{self.name}' is already an alias of another model."})


class Route(ConfigRow):
    """Public model -> account + upstream model id. Lower priority numbers are tried first, weights share a number."""

    class Infra(models.TextChoices):
        API = "api", "API"
        FLEET = "fleet", "Fleet"

    model = models.ForeignKey(PublicModel, on_delete=models.CASCADE, related_name="routes")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="routes")
    upstream_model = models.CharField(max_length=191, validators=[valid_model_name])
    key_set = models.ForeignKey(
        KeySet, null=True, blank=True, on_delete=models.PROTECT, help_text="Empty: the account's own."
    )
    family = models.CharField(max_length=40, blank=True, help_text="Empty: the account's.")
    infra = models.CharField(max_length=5, choices=Infra.choices, default=Infra.API)
    priority = models.PositiveIntegerField(default=0)
    weight = models.PositiveIntegerField(default=1)
    larger_context = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Asked where a request is too long for another route.",
    )
    enabled = models.BooleanField(default=True)
    quirks = models.JSONField(default=dict, blank=True, help_text="Switches of this route, as {'search': true}.")
    catalog = models.JSONField(default=dict, blank=True, editable=False)

    volatile_fields: ClassVar[tuple[str, ...]] = ("catalog",)

    class Meta:
        ordering = ("model", "priority", "id")

    def __str__(self) -> str:
        return f"{self.model.name} -> {self.account.name} / {self.upstream_model}"


class Alias(ConfigRow):
    """Another name of a public model (M-05)."""

    name = models.CharField(max_length=191, unique=True, validators=[valid_model_name])
    model = models.ForeignKey(PublicModel, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "aliases"

    def __str__(self) -> str:
        return f"{self.name} -> {self.model.name}"

    def clean(self) -> None:
        """Refuse on entry what would make the next snapshot be refused."""
        if self.name in RESERVED:
            raise ValidationError({"name": f"'{self.name}' is a word of the API and cannot be an alias."})
        if PublicModel._base_manager.filter(name=self.name).exists():
            raise ValidationError({"name": f"'{self.name}' is already the name of a public model."})


class PrefixRule(ConfigRow):
    """Names that start so go to this provider. The longest match wins, case counts (F-09)."""

    prefix = models.CharField(max_length=100, unique=True, validators=[valid_model_name])
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="prefix_rules")
    strip = models.BooleanField(default=False, help_text="Take the prefix off before the request is forwarded (F-06).")
    enabled = models.BooleanField(default=True)
    catalog = models.JSONField(default=dict, blank=True, editable=False)

    volatile_fields: ClassVar[tuple[str, ...]] = ("catalog",)

    class Meta:
        ordering = ("prefix",)

    def __str__(self) -> str:
        return f"{self.prefix}* -> {self.provider.slug}"


class Preference(ConfigRow):
    """What a project may use and what `auto` means for it."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="preference")
    default_model = models.CharField(max_length=191, blank=True)
    preferred = models.JSONField(default=list, blank=True, help_text="Models that auto chooses from, best first.")
    allow = models.JSONField(
        default=list, blank=True, help_text="Names, provider/model refs and globs with * and ?. Empty: everything."
    )
    strict = models.BooleanField(
        default=False,
        help_text="Refuse a request of which an upstream could not be told every part, instead of leaving parts out.",
    )

    class Meta:
        ordering = ("project",)
        verbose_name, verbose_name_plural = "preferences of project", "preferences"

    def __str__(self) -> str:
        return self.project.name


class Head(models.Model):
    """The one row that numbers revisions: its lock puts them in the order of their commits."""

    revision = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"head at {self.revision}"


class Revision(models.Model):
    """One numbered, attributed change of the configuration. Written with the change, in its transaction."""

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    author_name = models.CharField(max_length=150, help_text="Kept when the account is gone; commands sign by name.")
    note = models.CharField(max_length=300, blank=True)
    #: [{"table", "pk", "name", "action": "add|change|delete", "fields": {field: [before, after]}}]; secrets: "changed"
    changes = models.JSONField(default=list)

    class Meta:
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"revision {self.number}"


class Touch(models.Model):
    """Which row a revision touched: the index that makes "who changed this, and when" one cheap look-up."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="touches")
    table = models.CharField(max_length=60, help_text="app.model")
    row = models.CharField(max_length=40, help_text="Primary key as text.")
    part = models.CharField(max_length=110, blank=True, help_text="app.model:pk of the part of it that was written.")

    class Meta:
        indexes = [models.Index(fields=["table", "row", "-revision"], name="touch_by_row")]

    def __str__(self) -> str:
        return f"{self.table} {self.row} in {self.revision}"


class CatalogMark(models.Model):
    """A row that the catalog has given once. One that an operator deleted since does not come back."""

    table = models.CharField(max_length=20)
    key = models.CharField(max_length=260)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["table", "key"], name="one_catalog_mark_per_row")]

    def __str__(self) -> str:
        return f"{self.table} {self.key}"


class AccountProbe(models.Model):
    """What the last probe of an account found, and how many there were today."""

    class Outcome(models.TextChoices):
        ANSWERS = "answers", "It answers"
        REFUSED = "refused", "It refuses the key"
        FAILS = "fails", "It fails"
        UNREACHABLE = "unreachable", "It cannot be reached"

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="probed")
    tried_at = models.DateTimeField(help_text="Whoever moves this on probes.")
    day = models.DateField()
    count = models.PositiveIntegerField(default=0, help_text="Probes of that day.")
    at = models.DateTimeField(null=True, help_text="Of the outcome.")
    outcome = models.CharField(max_length=12, choices=Outcome.choices, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    took_ms = models.PositiveIntegerField(null=True)
    refused_keys = models.JSONField(default=list, help_text="Ids of keys that it refused when they were last tried.")

    def __str__(self) -> str:
        return f"probe of {self.account_id}: {self.outcome or 'none yet'}"


class Notice(models.Model):
    """What every gateway process is to do about circuits and resting keys, once: each looks here every second."""

    class Kind(models.TextChoices):
        CLOSE = "close", "Close the circuit"
        HASTEN = "hasten", "Let a request through"
        AGAIN = "again", "Use a key again"

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    kind = models.CharField(max_length=6, choices=Kind.choices)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    upstream_model = models.CharField(max_length=191, blank=True, help_text="Empty: all of the account's.")
    fingerprint = models.CharField(max_length=12, blank=True, default="", help_text="Of the key.")

    def __str__(self) -> str:
        return f"{self.kind} {self.account_id} / {self.fingerprint or self.upstream_model or '*'}"


class GatewayProcess(models.Model):
    """A running gateway process and the revision it serves: what makes "live everywhere" a fact that can be shown."""

    name = models.CharField(max_length=120, unique=True, help_text="host:pid")
    revision = models.PositiveBigIntegerField(default=0)
    applied_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(db_index=True)
    problem = models.CharField(max_length=300, blank=True, help_text="Why the newest revision was refused, if it was.")
    #: a report of `routing.hearsay`, for pages and probes; null: it serves no requests
    places = models.TextField(null=True, editable=False)

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "gateway processes"

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """A worker of an account as it was last heard of: what lets other processes, and those that start, know of it.

    `routing.fleet_rows` writes it beside the requests. Times are of the database's clock.
    """

    id = models.CharField(max_length=20, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="workers", db_constraint=False)
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    url = models.CharField(max_length=400)
    serves = models.JSONField(default=list, help_text="Upstream models.")
    capacity = models.PositiveIntegerField(default=2)
    running = models.PositiveIntegerField(default=0)
    queued = models.PositiveIntegerField(default=0)
    leaves = models.BooleanField(default=False, help_text="It said that it wants no more jobs.")
    drained_by = models.CharField(max_length=150, blank=True, help_text="Who wants it to get no more jobs.")
    #: what it wants to be shown with each job, sealed
    sealed = models.BinaryField(default=b"", editable=False)
    heard_at = models.DateTimeField()
    changed_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("account", "url")
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return self.url
