"""Projects (tenants), the sealed keys they and our accounts use, and the tokens we issue."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.base import ModelBase

from providers.config import ConfigRow
from providers.models import Account
from providers.names import valid_project_name


class GuardedRow(ConfigRow):
    """A row with columns that one module alone writes: a plain save of a loaded row leaves them as they are.

    A form that was opened before a key was replaced, or a token revoked, cannot bring the old value back so.
    """

    #: Columns that are written only where `update_fields` names them.
    guarded_fields: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save; of a row that exists, the guarded columns only if `update_fields` names them."""
        if update_fields is None and not self._state.adding and not force_insert:
            held = {*self.guarded_fields, *self.volatile_fields}
            update_fields = [
                field.name for field in self._meta.concrete_fields if not field.primary_key and field.name not in held
            ]
        super().save(force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields)


class Project(ConfigRow):
    """A tenant: owns tokens, may own keys, sees the models on its allowlist."""

    name = models.CharField(max_length=63, unique=True, validators=[valid_project_name])
    description = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    rights_mac = models.BinaryField(default=b"", editable=False)

    secret_fields: ClassVar[tuple[str, ...]] = ("rights_mac",)
    volatile_fields: ClassVar[tuple[str, ...]] = ("rights_mac",)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class KeySet(ConfigRow):
    """Ordered credentials of one account: shared, or of one project only (F-25)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="key_sets")
    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.CASCADE, related_name="key_sets", help_text="Empty: shared."
    )
    name = models.CharField(max_length=63, default="default")
    variables = models.JSONField(
        default=dict, blank=True, help_text="Laid over the account's, where one key has an endpoint of its own (P-07)."
    )
    env_pattern = models.CharField(max_length=80, blank=True, help_text="As in AZURE_MYCELI_GPT5MINI_*.")

    class Meta:
        ordering = ("account", "project", "name")
        constraints = [
            models.UniqueConstraint(fields=["account", "project", "name"], name="one_key_set_name_per_owner"),
            models.UniqueConstraint(
                fields=["account", "name"], condition=models.Q(project__isnull=True), name="one_shared_key_set_name"
            ),
        ]

    def __str__(self) -> str:
        owner = f" of {self.project.name}" if self.project else ""
        return f"{self.account.name} / {self.name}{owner}"


class ProviderKey(GuardedRow):
    """One credential, sealed. Its id, field, purpose and the account's origin are part of the seal."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key_set = models.ForeignKey(KeySet, on_delete=models.CASCADE, related_name="keys")
    position = models.PositiveIntegerField(default=0, help_text="Tried in this order.")
    sealed = models.BinaryField(editable=False)
    last_four = models.CharField(max_length=4, blank=True, editable=False)
    fingerprint = models.CharField(max_length=12, blank=True, editable=False, db_index=True)
    source = models.CharField(
        max_length=120, default="entered", editable=False, help_text="entered, env:NAME, file:PATH."
    )
    live = models.BooleanField(default=False, editable=False, help_text="A live override: the only candidate (M-10).")
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    spent_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Its upstream said that its quota, balance or spend limit is used up; empty once it served again.",
    )
    spent_for = models.CharField(
        max_length=191,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Asked for this model.",
    )

    secret_fields: ClassVar[tuple[str, ...]] = ("sealed",)
    guarded_fields: ClassVar[tuple[str, ...]] = ("sealed", "last_four", "fingerprint", "source", "live", "rotated_at")
    volatile_fields: ClassVar[tuple[str, ...]] = ("last_used_at", "spent_at", "spent_for")

    class Meta:
        ordering = ("key_set", "position", "created_at")

    def __str__(self) -> str:
        return f"••••{self.last_four} ({self.fingerprint})"


class ApiToken(GuardedRow):
    """A token we issued. Only its MAC is kept; the row MAC makes a row written past us worthless (R-TOK-02)."""

    class Kind(models.TextChoices):
        PROJECT = "p", "project"
        ADMIN = "a", "admin API"
        TEST = "t", "test"
        FLEET = "f", "fleet"

    class Reason(models.TextChoices):
        RETIRED = "retired", "retired: what it started may finish"
        COMPROMISED = "compromised", "compromised: its streams are cut"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: of every kind but those of fleets, which belong to an account
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.CASCADE, related_name="tokens")
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="tokens")
    kind = models.CharField(max_length=1, choices=Kind.choices, default=Kind.PROJECT)
    name = models.CharField(max_length=80, blank=True)
    mac = models.BinaryField(unique=True, editable=False)
    row_mac = models.BinaryField(editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_reason = models.CharField(max_length=12, blank=True, choices=Reason.choices, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    secret_fields: ClassVar[tuple[str, ...]] = ("mac", "row_mac")
    guarded_fields: ClassVar[tuple[str, ...]] = (
        *("project", "account", "kind", "mac", "row_mac", "last_four", "expires_at", "revoked_at", "revoked_reason"),
    )
    volatile_fields: ClassVar[tuple[str, ...]] = ("last_used_at",)

    class Meta:
        ordering = ("project", "-created_at")
        verbose_name = "token"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="f", project__isnull=True, account__isnull=False)
                | (~models.Q(kind="f") & models.Q(project__isnull=False, account__isnull=True)),
                name="token_of_project_or_fleet",
            )
        ]

    @property
    def owner(self) -> str:
        """Whose it is: a project's, or, of a fleet, an account's."""
        return self.project.name if self.project else f"workers of {self.account.name}" if self.account else ""

    def __str__(self) -> str:
        return f"{self.owner} ••••{self.last_four}"


class SignIn(models.Model):
    """A sign-in with a code that a person has begun for an account and not finished (`keys.sign_ins`).

    What its issuer knows it by is sealed, to the issuer, the account and the person; the rest is times.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SLOWER = "slower", "waiting: the issuer wants to be asked less often"
        UNREACHABLE = "unreachable", "the issuer did not answer just now"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    sealed = models.BinaryField(editable=False)
    state = models.CharField(max_length=12, choices=State.choices, default=State.WAITING)
    interval = models.FloatField(help_text="Seconds between two questions.")
    ask_at = models.DateTimeField(help_text="The next question is not sent before.")
    until = models.DateTimeField()

    class Meta:
        verbose_name = "sign-in"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["account", "person"], name="one_sign_in_per_person")]

    def __str__(self) -> str:
        return f"sign-in to {self.account.name}"
