"""A secret in memory: a box that every way of printing, copying or serialising leaves closed. Pure."""

from __future__ import annotations

from typing import Any, NoReturn


class Secret:
    """Holds one plaintext. Only `reveal()` opens it, so a search for that word finds every use (X-06)."""

    __slots__ = ("__plain",)

    def __init__(self, plain: str) -> None:
        self.__plain = plain

    def reveal(self) -> str:
        """The plaintext. Call it where the secret is used, and keep what it returns nowhere."""
        return self.__plain

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __bool__(self) -> bool:
        return bool(self.__plain)

    def _closed(self, *_: Any) -> NoReturn:
        raise TypeError("a secret is neither copied nor serialised")

    __copy__ = __deepcopy__ = __reduce__ = __reduce_ex__ = __getstate__ = _closed
