"""Background work of the patch panel: whether routes lead to models that are gone, whether accounts answer."""

from __future__ import annotations

import logging

from celery import shared_task

from routing.build import build
from routing.probing import probe
from routing.syncing import sync

log = logging.getLogger(__name__)


@shared_task(name="routing.sync_models", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def sync_models(*accounts: str) -> str:
    """Ask these accounts, or all that can be asked, and log a warning for every route whose model is gone."""
    found = sync(build(), accounts)
    for one in found:
        if one.state == "failed":
            log.warning("account %s: no list of models: %s", one.account, one.why)
        for route in one.vanished:
            log.warning("account %s: %s is gone, which %s leads to", one.account, route.upstream, route.public)
    return f"{sum(one.state == 'listed' for one in found)} lists, {sum(len(one.vanished) for one in found)} routes gone"


@shared_task(name="routing.probe", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def probe_accounts() -> str:
    """Ask the accounts that are due whether they answer. Two at once ask each account once."""
    return f"{probe()} accounts answered"
