"""The routing's Django application: listens to every write of configuration."""

from django.apps import AppConfig


class RoutingConfig(AppConfig):
    name = "routing"
    verbose_name = "Patch panel"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hear every write of a configuration row, and index every revision by row."""
        from routing import history, revisions, rights  # noqa: PLC0415 - models are loaded only now

        revisions.listen()
        history.connect()
        rights.connect()
