"""Who we are to others on the wire: our name in `via`, by which a request that comes back is known (R-HTTP-03)."""

from __future__ import annotations

import secrets
from functools import cache

from django.conf import settings

from project.home import write_private


@cache
def instance() -> str:
    """A random name of this installation, made once and kept in its home; all its processes share it."""
    path = settings.HOME.root / "instance"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        settings.HOME.prepare()
        return write_private(path, secrets.token_hex(8))


@cache
def via() -> str:
    """Our entry in a `via` header."""
    return f"1.1 jackfield-{instance()}"


def came_through_us(meta_via: str) -> bool:
    """Whether a request's `via` header names this installation."""
    return any(hop.strip() == via() for hop in meta_via.split(","))
