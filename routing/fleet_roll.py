"""The workers of a fleet, found by id, by account, and by what they serve there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from routing.fleet import Worker

Key = TypeVar("Key")


class Roll:
    """Every worker that is known. Any thread may ask."""

    __slots__ = ("_of", "_serving", "all")

    def __init__(self) -> None:
        self.all: dict[str, Worker] = {}
        self._of: dict[int, dict[str, Worker]] = {}
        self._serving: dict[tuple[int, str], dict[str, Worker]] = {}

    def add(self, worker: Worker) -> None:
        self.all[worker.id] = worker
        _put(self._of, worker.word.account_id, worker)
        self.enlist(worker)

    def drop(self, worker: Worker) -> None:
        self.all.pop(worker.id, None)
        _take(self._of, worker.word.account_id, worker)
        self.unlist(worker)

    def enlist(self, worker: Worker) -> None:
        """It is found by what it serves; `unlist` comes before that changes."""
        for model in worker.word.models:
            _put(self._serving, (worker.word.account_id, model), worker)

    def unlist(self, worker: Worker) -> None:
        for model in set(worker.word.models):
            _take(self._serving, (worker.word.account_id, model), worker)

    def of(self, account_id: int) -> tuple[Worker, ...]:
        return tuple(self._of.get(account_id, {}).values())

    def serving(self, account_id: int, model: str) -> tuple[Worker, ...]:
        return tuple(self._serving.get((account_id, model), {}).values())

    def number(self, account_id: int) -> int:
        return len(self._of.get(account_id, ()))

    def clear(self) -> None:
        for known in (self.all, self._of, self._serving):
            known.clear()


def _put(groups: dict[Key, dict[str, Worker]], key: Key, worker: Worker) -> None:
    groups.setdefault(key, {})[worker.id] = worker


def _take(groups: dict[Key, dict[str, Worker]], key: Key, worker: Worker) -> None:
    group = groups.get(key, {})
    group.pop(worker.id, None)
    if not group:
        groups.pop(key, None)
