"""Background work of the data plane: draining the journal, forgetting. Lossless if skipped, harmless if run twice."""

from __future__ import annotations

from celery import shared_task

from api.drain import drain
from api.recalling import forget_old


@shared_task(name="api.drain", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def drain_journal() -> str:
    """Bring the journal into the database once."""
    return str(drain())


@shared_task(name="api.forget", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def forget_responses() -> str:
    """Delete the responses that were kept long enough."""
    return f"{forget_old()} forgotten"
