"""The providers' Django application."""

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    name = "providers"
    verbose_name = "Upstream"
    default_auto_field = "django.db.models.BigAutoField"
