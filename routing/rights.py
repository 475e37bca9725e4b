"""Keeps the MAC of every project's rights (`keys.rights`) in step with its row and its preferences."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save

from keys.models import Project
from keys.rights import rights_mac
from routing.models import Preference


def seal(project_id: int) -> None:
    """Renew the MAC from what the tables hold now, inside the transaction of the write that changed them."""
    # The lock puts a change of the project and one of its preferences in an order, so that the later one sees both.
    found = Project._base_manager.select_for_update().filter(pk=project_id).values_list("enabled", "rights_mac").first()
    if found is None:
        return
    allow = Preference._base_manager.filter(project=project_id).values_list("allow", flat=True).first()
    mac = rights_mac(project_id, found[0], allow)
    if bytes(found[1]) != mac:
        Project.objects.filter(pk=project_id).touch(rights_mac=mac)


def _project_saved(instance: Project, **_: Any) -> None:
    seal(instance.pk)


def _preference_changed(instance: Preference, **_: Any) -> None:
    seal(instance.project_id)


def connect() -> None:
    """Called once, when the applications are loaded."""
    post_save.connect(_project_saved, sender=Project, dispatch_uid="rights of a project")
    for signal in (post_save, post_delete):
        signal.connect(_preference_changed, sender=Preference, dispatch_uid="rights by preferences")
