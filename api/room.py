"""Is there room for one more request: what this process has in hand and whose it is (R-REL-22).

A process that has as much in hand as it takes, or that does not keep up (api.pressure), tells further requests to come
again. Nobody's slots are kept free while there are some; when nine tenths are taken, the rest is for projects that
have less than their share of all, so that the flood of one leaves the others a way in.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings

from api.errors import ApiError, Fault
from api.pressure import pressure

#: What a refused client is told to wait, in seconds.
WAIT: Final = {"retry-after": "1"}
#: So many are served by a process that is short of memory: else one that gets none back would never serve again.
FEW: Final = 8


class Room:
    """The requests in hand of this process. It is used on the event loop only."""

    def __init__(self) -> None:
        #: requests that are counted: those that leave a row, and others that wait for an upstream
        self.in_hand = 0
        #: requests that were told to come again, and those of them whose project had more than its share
        self.shed = 0
        self.over_share = 0
        self._by_project: dict[int, int] = {}

    def enter(self, project: int) -> None:
        """A request of this project begins; `leave` must follow."""
        self.in_hand += 1
        self._by_project[project] = self._by_project.get(project, 0) + 1

    def leave(self, project: int) -> None:
        """It is over."""
        self.in_hand -= 1
        left = self._by_project[project] - 1
        if left:
            self._by_project[project] = left
        else:
            del self._by_project[project]

    @property
    def full(self) -> bool:
        """Whether nobody's request is taken now."""
        if self.in_hand >= settings.MAX_IN_FLIGHT:
            return True
        return pressure.high and (pressure.behind or self.in_hand >= FEW)

    def refuse_if_full(self) -> None:
        """Raises ApiError where nobody's request is taken now."""
        if self.full:
            raise self.refusal()

    def refusal(self, fault: Fault = Fault.OVERLOADED) -> ApiError:
        """What one that is not taken is told; it is counted."""
        self.shed += 1
        return ApiError(fault, headers=WAIT)

    def refuse_without_room(self, project: int) -> None:
        """Raises ApiError where nobody's request is taken now, or where the slots grow scarce and this project has its
        share of them already."""
        most: int = settings.MAX_IN_FLIGHT
        if self.in_hand < most - most // 10 and not pressure.high:
            return
        self.refuse_if_full()
        mine = self._by_project.get(project, 0)
        projects = len(self._by_project) + (not mine)
        # Somebody else may come at any moment: also who is alone here leaves the last tenth to others.
        if mine and self.in_hand >= most - most // 10 and mine >= most // max(projects, 2):
            self.over_share += 1
            raise self.refusal(Fault.SHARE_TAKEN)


#: Of this process.
room = Room()
