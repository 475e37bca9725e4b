"""Refuses on entry what is no time to hedge after."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from routing.hedge_after import read


def valid_hedge(text: str) -> None:
    """The validator of the model's field."""
    try:
        read(text)
    except ValueError as problem:
        raise ValidationError(str(problem)) from None
