"""What every request used and cost. Rows come from the journal only; names are kept as text, so they outlive rows."""

from __future__ import annotations

from typing import Final

from django.db import models

from api.usage import Outcome


class UsageRecord(models.Model):
    """One request. Unknown is null, never 0. Times are integer microseconds, cost integer micro-USD."""

    Outcome = Outcome

    request_id = models.CharField(max_length=40, unique=True)
    started_at = models.DateTimeField(db_index=True)
    project = models.CharField(max_length=63, blank=True, db_index=True)
    token_id = models.CharField(max_length=36, blank=True)
    endpoint = models.CharField(max_length=40)
    dialect = models.CharField(max_length=40)
    stream = models.BooleanField(default=False)
    model = models.CharField(max_length=191, blank=True, db_index=True, help_text="As it was asked for.")
    served_model = models.CharField(max_length=191, blank=True, help_text="The public model or ref that served.")
    account = models.CharField(max_length=63, blank=True, db_index=True)
    provider = models.CharField(max_length=63, blank=True)
    upstream_model = models.CharField(max_length=191, blank=True)
    key_fingerprint = models.CharField(max_length=12, blank=True)
    revision = models.PositiveBigIntegerField(default=0)
    status = models.PositiveSmallIntegerField(default=0)
    outcome = models.CharField(max_length=12, choices=[(outcome.value, outcome.label) for outcome in Outcome])
    error_code = models.CharField(max_length=60, blank=True)
    fault = models.CharField(max_length=10, blank=True, help_text="caller, policy, upstream or gateway.")
    attempts = models.PositiveSmallIntegerField(default=0)
    attempt_log = models.JSONField(default=list, help_text="[{account, model, key, status, verdict, us}]")
    plan = models.CharField(
        max_length=1000,
        blank=True,
        db_default="",
        help_text="Whom it was to ask, in order, and who was out and why; empty where there was one place only.",
    )
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    cache_read_tokens = models.BigIntegerField(null=True)
    cache_write_tokens = models.BigIntegerField(null=True)
    reasoning_tokens = models.BigIntegerField(null=True)
    images = models.PositiveIntegerField(null=True)
    cost_micro = models.BigIntegerField(null=True, help_text="Micro-USD; empty is unknown.")
    hedged = models.BooleanField(default=False, db_default=False, help_text="Two places were asked at once.")
    hedge_cost_micro = models.BigIntegerField(
        null=True, help_text="What the place that was given up cost at least, micro-USD; empty is unknown or nothing."
    )
    queue_us = models.BigIntegerField(null=True)
    resolve_us = models.BigIntegerField(null=True)
    connect_us = models.BigIntegerField(null=True)
    first_byte_us = models.BigIntegerField(null=True)
    total_us = models.BigIntegerField(null=True)

    class Meta:
        ordering = ("-started_at", "-id")
        verbose_name_plural = "usage"

    def __str__(self) -> str:
        return self.request_id


class StoredResponse(models.Model):
    """A response that a project may come back to; once it was deleted, a sealed nothing that keeps its place.

    `waiting`: when this was kept it was still being made.
    """

    project = models.BigIntegerField()
    response_id = models.CharField(max_length=191)
    created_at = models.DateTimeField(db_index=True)
    sealed = models.BinaryField()
    waiting = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("project", "response_id"), name="one_response_per_id"),)

    def __str__(self) -> str:
        return self.response_id


class StoredItem(models.Model):
    """Which of a project's kept responses says the item of an id: of several with the same one, the last.

    See keeping.digest_of.
    """

    digest = models.BinaryField(max_length=16)
    project = models.BigIntegerField()
    response = models.ForeignKey(StoredResponse, on_delete=models.CASCADE, related_name="items")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("digest", "project"), name="one_item_per_id"),)

    def __str__(self) -> str:
        return bytes(self.digest).hex()


#: Nothing failed here: the caller's mistake, or what it asked for is not set up or not allowed.
REFUSED: Final = models.Q(fault__in=("caller", "policy"))
#: What went wrong upstream or here.
FAILED: Final = ~models.Q(outcome__in=(Outcome.OK, Outcome.CLIENT_GONE)) & ~REFUSED
