"""The installation itself: its settings, its start and the checks of both."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "project"

    def ready(self) -> None:
        # Once the apps are there: the system checks, and the Celery application that every task is bound to.
        from project import celery, checks  # noqa: F401, PLC0415 - imported to be registered, not before the apps
