"""All that this process exchanges with others through Redis of places and workers, from its start to its end.

What it exchanges of keys begins and ends with `keys.pool`.
"""

from __future__ import annotations

from keys.mirror import Mirror
from routing.fleet import fleet
from routing.fleet_gossip import FleetGossip
from routing.gossip import NAME, SHARED, Gossip
from routing.health import health
from routing.hearsay import everybody


class Talk:
    """The tasks that do it, of one process."""

    def __init__(self) -> None:
        self._tasks: tuple[Mirror, FleetGossip, Gossip] | None = None

    def start(self, url: str, name: str) -> None:
        """On the running loop. Without a URL nothing is exchanged. `name`: of this process, if requests are served."""
        if url and self._tasks is None:
            self._tasks = (
                Mirror(health, url, SHARED, NAME),
                FleetGossip(fleet, url),
                Gossip(everybody, url, name),
            )
            for task in self._tasks:
                task.start()

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, None
        for task in tasks or ():
            await task.stop()
        everybody.learn({})

    @property
    def hears(self) -> bool:
        """Are the figures of the other processes heard now?"""
        return self._tasks is not None and self._tasks[-1].connected


#: Of this process.
talk = Talk()
