"""A process's loop that hears what people and probes say of circuits and keys."""

from __future__ import annotations

import asyncio
from typing import Any

from django.db import connection

from keys.cooling import Cooling
from routing.health import Health
from routing.notices import Notices


def noticing(health: Health, act: Any, resting: Cooling | None = None) -> None:
    """Run a process's loop with notices, `act` in between its first look and the next."""

    async def running() -> None:
        heard = Notices(health, resting or Cooling())
        heard.start()
        for deed in (lambda: None, act, lambda: None):
            await asyncio.to_thread(_apart, deed)
            heard._due = 0.0
            await asyncio.to_thread(_apart, heard.look)
            await asyncio.sleep(0)
        heard.stop()

    asyncio.run(running())


def _apart(deed: Any) -> None:
    try:
        deed()
    finally:
        connection.close()
