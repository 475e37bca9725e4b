"""The API's Django application."""

from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class ApiConfig(AppConfig):
    name = "api"
    verbose_name = "Usage"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """The last application of the list: once it has migrated, every permission of the roles exists."""
        post_migrate.connect(_write_groups, sender=self, dispatch_uid="api.roles")


def _write_groups(**given: Any) -> None:
    """Every migrate brings the table of roles to the groups, so that a changed table reaches old databases."""
    try:
        given.get("apps", apps).get_model("auth", "Group")
    except LookupError:  # migrated back to before there were groups
        return
    import_module("keys.roles").write_groups()  # models cannot be imported yet where this file is
