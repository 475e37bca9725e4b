"""Providers, the accounts we hold at them, and the facts of their models."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from providers import probing
from providers.config import ConfigRow
from providers.names import valid_account_name, valid_model_name, valid_provider_slug


class Provider(ConfigRow):
    """A company or system that serves models: facts, mostly from the catalog."""

    slug = models.CharField("id", max_length=63, unique=True, validators=[valid_provider_slug])
    name = models.CharField(max_length=100)
    family = models.CharField(max_length=40, help_text="The wire API it speaks unless a route says otherwise.")
    families = models.JSONField(default=dict, blank=True, help_text="Other families it offers: family -> base URL.")
    base_url = models.CharField(max_length=400, blank=True, help_text="May hold {variables}, filled from the account.")
    variables = models.JSONField(
        default=list, blank=True, help_text='What the URL and the credential need: [{"name", "env": [..], "default"}].'
    )
    credential = models.CharField(max_length=40, default="bearer", help_text="How a key is put on a request.")
    credential_name = models.CharField(max_length=60, blank=True, help_text="Header or query parameter, if not usual.")
    env_keys = models.JSONField(default=list, blank=True, help_text="Variables that hold a key; first set one wins.")
    env_prefix = models.CharField(max_length=60, blank=True, help_text="Stem of rotation variables, as in OPENAI.")
    aliases = models.JSONField(default=list, blank=True)
    capabilities = models.JSONField(default=list, blank=True)
    streaming = models.BooleanField(default=True, help_text="Off: a streamed request is answered in one piece.")
    keyless = models.BooleanField(default=False, help_text="Works without a key.")
    quirks = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    deferred_to = models.CharField(
        max_length=100, blank=True, help_text="Nearest working alternative, where this id cannot be served."
    )
    deferred_reason = models.CharField(max_length=300, blank=True)
    catalog = models.JSONField(default=dict, blank=True, editable=False, help_text="What the catalog last gave.")

    volatile_fields: ClassVar[tuple[str, ...]] = ("catalog",)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Account(ConfigRow):
    """One contract at a provider: its origin, region, API version. Two accounts never share credentials (P-06)."""

    class Probe(models.TextChoices):
        """The words of providers.probing."""

        FREE = probing.FREE, "If it is free"
        ON = probing.ON, "Yes, whatever it costs"
        OFF = probing.OFF, "No"

    name = models.CharField(max_length=63, unique=True, validators=[valid_account_name])
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="accounts")
    family = models.CharField(max_length=40, blank=True, help_text="Empty: the provider's.")
    base_url = models.CharField(max_length=400, blank=True, help_text="Empty: the provider's. Part of the keys' seal.")
    variables = models.JSONField(default=dict, blank=True, help_text="region, resource, api_version, ...")
    private_network = models.BooleanField(
        default=False, help_text="May reach loopback and private addresses and plain HTTP. Metadata addresses never."
    )
    timeouts = models.JSONField(default=dict, blank=True, help_text="Seconds: connect, first_byte, gap, total.")
    env_pattern = models.CharField(max_length=80, blank=True, help_text="Label of its variables, as in AWS_*.")
    probe = models.CharField(
        max_length=4,
        choices=Probe.choices,
        default=Probe.FREE,
        db_default=Probe.FREE,
        help_text="Whether its list of models is asked for while nobody else hears of it.",
    )
    probe_interval = models.PositiveIntegerField(
        default=probing.INTERVAL,
        db_default=probing.INTERVAL,
        validators=[MinValueValidator(probing.SHORTEST), MaxValueValidator(probing.DAY)],
        help_text="Seconds between two probes; a day has no more of them than this allows.",
    )
    probe_cost = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Millionths of a US dollar that one probe costs; 0 is free."
    )
    worker_hosts = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="Names, *.names and networks where its own workers may be. Empty: public addresses, HTTPS alone.",
    )
    enabled = models.BooleanField(default=True)
    catalog = models.JSONField(default=dict, blank=True, editable=False)

    volatile_fields: ClassVar[tuple[str, ...]] = ("catalog",)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class CatalogModel(ConfigRow):
    """What is known of one model at one provider. Prices are integer micro-USD per million tokens, or per picture; null
    is unknown."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="catalog_models")
    model = models.CharField(max_length=191, validators=[valid_model_name])
    name = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=20, default="chat")
    family = models.CharField(max_length=40, blank=True, help_text="Empty: the provider's.")
    context = models.PositiveIntegerField(null=True, blank=True)
    max_output = models.PositiveIntegerField(null=True, blank=True)
    input_modalities = models.JSONField(default=list, blank=True)
    output_modalities = models.JSONField(default=list, blank=True)
    tools = models.BooleanField(null=True, blank=True)
    reasoning = models.BooleanField(null=True, blank=True)
    structured_output = models.BooleanField(null=True, blank=True)
    price_input = models.BigIntegerField(null=True, blank=True)
    price_output = models.BigIntegerField(null=True, blank=True)
    price_cache_read = models.BigIntegerField(null=True, blank=True)
    price_cache_write = models.BigIntegerField(null=True, blank=True)
    price_image = models.BigIntegerField(null=True, blank=True)
    aliases = models.JSONField(default=list, blank=True, help_text="Other ids that mean this one at this provider.")
    as_of = models.DateField(null=True, blank=True)
    source = models.CharField(max_length=200, blank=True)
    catalog = models.JSONField(default=dict, blank=True, editable=False)

    volatile_fields: ClassVar[tuple[str, ...]] = ("catalog",)

    class Meta:
        ordering = ("provider", "model")
        verbose_name = verbose_name_plural = "model facts"
        constraints = [models.UniqueConstraint(fields=["provider", "model"], name="one_fact_row_per_model")]

    def __str__(self) -> str:
        return f"{self.provider.slug}/{self.model}"
