"""`manage.py`, but the gateway keeps no health: what watching every place costs is the difference to the real one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from django.core.management import execute_from_command_line

from routing.health import Health, Watch
from routing.places import Failure


class _Blind(Watch):
    """Hears nothing of what becomes of a request."""

    __slots__ = ()

    def __init__(self) -> None:
        """It has no place to keep anything of."""

    def began(self, seconds: float) -> None: ...

    def served(self) -> None: ...

    def failed(self, kind: Failure) -> None: ...

    def outrun(self) -> None: ...

    def drop(self) -> None: ...


def _unwatched(self: Health, place: Any, kind: Any = Watch) -> Watch:
    return _Blind()


if __name__ == "__main__":
    setattr(Health, "watch", _unwatched)  # noqa: B010 - so that the type checker lets a method be replaced
    execute_from_command_line(sys.argv)
