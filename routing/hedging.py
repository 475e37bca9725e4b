"""When a second place is asked beside the first, which has not begun to answer yet."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from routing.health import health
from routing.hedge_after import After, read
from routing.places import Place


def valid_hedge(text: str) -> None:
    """The validator of the model's field."""
    try:
        read(text)
    except ValueError as problem:
        raise ValidationError(str(problem)) from None


def delay(after: After, place: Place) -> float | None:
    """Seconds after which the next place is asked as well; None while too little is known of this one."""
    return health.share(place, after.share) if after.share else after.seconds
