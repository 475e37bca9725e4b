"""Background work of the data plane: draining the journal. Lossless if skipped, harmless if run twice."""

from __future__ import annotations

from celery import shared_task

from api.drain import drain


@shared_task(name="api.drain", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def drain_journal() -> str:
    """Bring the journal into the database once."""
    return str(drain())
