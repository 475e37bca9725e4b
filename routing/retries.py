"""How many second attempts a provider may be given at once: a storm of failures must not become a storm of requests.

Pure; one event loop uses one instance. A request's first attempt is always made. Those that follow on a failure which
other requests may meet as well are made, at a provider that fails too, while at most a fifth of all attempts that are
under way there, and never fewer than three, are such. What is refused for the request's own sake, or a key's, is no
storm, nor is a failure to connect: nothing was sent. A place that is well takes all: `api.forward` asks only where not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LEAST: Final = 3
SHARE: Final = 0.2


class Retries:
    """By provider: attempts under way, and how many of them follow on such a failure."""

    def __init__(self) -> None:
        self._under_way: defaultdict[str, int] = defaultdict(int)
        self._later: defaultdict[str, int] = defaultdict(int)

    def may_ask(self, provider: str) -> bool:
        """Whether one more later attempt may be made there now."""
        return self._later[provider] < max(LEAST, SHARE * self._under_way[provider])

    @contextmanager
    def attempt(self, provider: str, *, later: bool) -> Iterator[None]:
        """Around an attempt, until its answer begins."""
        self._under_way[provider] += 1
        self._later[provider] += later
        try:
            yield
        finally:
            self._under_way[provider] -= 1
            self._later[provider] -= later


#: Of this process.
retries = Retries()
