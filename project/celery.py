"""The Celery application: scheduled and background work, never on a request's path.

With no CELERY_BROKER_URL the broker is kombu's file-system transport in the home directory, so that one machine needs
no server. Every task is harmless when run twice or skipped; what must not be lost is in the journal, not in a queue.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")


def broker() -> dict[str, Any]:
    """The broker's part of the configuration."""
    if settings.CELERY_BROKER_URL:
        return {"broker_url": settings.CELERY_BROKER_URL}
    folder = settings.HOME.broker
    return {
        "broker_url": "filesystem://localhost/",
        "broker_transport_options": {
            "data_folder_in": str(folder / "queue"),
            "data_folder_out": str(folder / "queue"),
            "control_folder": str(folder / "control"),
        },
    }


app = Celery("jackfield", set_as_current=True)
app.conf.update(
    broker(),
    task_ignore_result=True,
    task_default_queue="jackfield",
    task_serializer="json",
    accept_content=["json"],
    task_time_limit=600,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    beat_schedule_filename=str(settings.HOME.root / "beat"),
    timezone="UTC",
    beat_schedule={
        "drain the journal": {"task": "api.drain", "schedule": 60.0},
        "forget old responses": {"task": "api.forget", "schedule": 3600.0},
        "probe accounts": {"task": "routing.probe", "schedule": 30.0, "options": {"expires": 25}},
        "look for vanished models": {"task": "routing.sync_models", "schedule": 86_400.0},
    },
)
app.autodiscover_tasks()
