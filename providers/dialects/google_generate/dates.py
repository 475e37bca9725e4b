"""`createTime`: an instant of RFC 3339, as seconds. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds_of(instant: str) -> int:
    """Seconds since 1970, 0 if it is no instant."""
    try:
        moment = datetime.fromisoformat(instant)
        return max(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()), 0)
    except (ValueError, OverflowError):
        return 0


def instant_of(seconds: int) -> str:
    """The instant in words; none for a time that has no year."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""
