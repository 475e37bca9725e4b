"""The workers of fleets as they are now: a page of all, and a part of an account's page, both kept fresh by a script.

Without the script the same tables are shown as of when the page was made, and their buttons work.
"""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse

from api.fleet import shown
from keys.roles import may
from providers.models import Account
from routing.breath import breathing
from routing.build import BadSnapshot
from routing.fleet import fleet
from routing.fleet_rows import drain, rows
from routing.models import Route, Worker
from routing.store import at_hand, store

log = logging.getLogger(__name__)


def listed(account: int | None = None) -> list[dict[str, Any]]:
    """The workers of an account, or all, as this process knows them; by account and URL."""
    rows.load()
    try:
        snapshot = at_hand(breathing())
    except BadSnapshot:
        snapshot = store.current
    found = fleet if account is None else fleet.of(account)
    return sorted((shown(snapshot, worker) for worker in found), key=lambda one: (one["account"], one["url"]))


def workers_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The page of all."""
    if not may(request.user, "view", Worker):
        raise PermissionDenied
    return TemplateResponse(
        request, "admin/routing/worker/list.html", {**context, "title": "Workers", "table": table(request)}
    )


def live(request: HttpRequest) -> HttpResponse:
    """The table alone, of `?account=` or of all."""
    if not may(request.user, "view", Worker):
        raise PermissionDenied
    asked = request.GET.get("account", "")
    response = HttpResponse(table(request, int(asked) if asked.isdecimal() and len(asked) < 19 else None))
    response.headers["Cache-Control"] = "no-store"
    return response


def table(request: HttpRequest, account: int | None = None) -> str:
    """The workers and what may be done with them, as HTML that refreshes itself."""
    query = f"?account={account}" if account is not None else ""
    return render_to_string(
        "admin/routing/worker/table.html",
        {
            "workers": listed(account),
            "of_all": account is None,
            "live": reverse("admin:routing_worker_live") + query,
            "query": query,
            "may_drain": may(request.user, "change", Worker),
        },
        request,
    )


def workers_of(request: HttpRequest, pk: str) -> str:
    """The table for an account's own page; nothing, where no route of it leads to workers."""
    if not pk.isdecimal() or not may(request.user, "view", Worker):
        return ""
    fleets = Route.objects.filter(account=int(pk), infra=Route.Infra.FLEET).exists() or fleet.of(int(pk))
    return table(request, int(pk)) if fleets else ""


def drain_worker(request: HttpRequest, pk: str) -> HttpResponse:
    """POST `do`: "drain" ends a worker's work, "resume" lets it go on; then back to where the button was."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not may(request.user, "change", Worker):
        raise PermissionDenied
    wanted = request.POST.get("do") == "drain"
    if drain(pk, request.user.get_username() if wanted else ""):
        store.refresh()
        log.info("worker %s was %s", pk, "drained" if wanted else "let go on")
        says = "It gets no more jobs; those that run are finished." if wanted else "It gets jobs again."
        messages.success(request, says)
    else:
        messages.error(request, "There is no such worker any more.")
    asked = request.GET.get("account", "")
    if asked.isdecimal() and Account.objects.filter(pk=asked[:18]).exists():
        return HttpResponseRedirect(reverse("admin:providers_account_change", args=[asked]))
    return HttpResponseRedirect(reverse("admin:routing_worker_changelist"))
