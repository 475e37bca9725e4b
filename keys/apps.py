"""The keys' Django application."""

from django.apps import AppConfig


class KeysConfig(AppConfig):
    name = "keys"
    verbose_name = "Projects and keys"
    default_auto_field = "django.db.models.BigAutoField"
