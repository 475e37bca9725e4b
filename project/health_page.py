"""The page on which one watches how every place does, and closes a circuit by hand.

It works by forms and links alone; its script asks for the table again and again, so that the page lives.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from keys.roles import may
from project.panel import one_revision
from providers.models import Account
from routing.models import GatewayProcess, Route
from routing.notices import close_circuit
from routing.overview import Told, overview, told
from routing.places import OF_KEYS, Circuit
from routing.probing import said

_FILTERS: Final = ("account", "provider")


def health_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The page, its table alone (`?part=table`, for the script); POST closes one circuit."""
    if not may(request.user, "view", GatewayProcess):
        raise PermissionDenied
    if request.method == "POST":
        return _close(request)
    found = overview()
    everything = told(found)
    chosen = {name: request.GET.get(name, "") for name in _FILTERS}
    rows = [row for row in everything if all(getattr(row, name) == value for name, value in chosen.items() if value)]
    context = {
        **context,
        "title": "Health",
        "whose": found.whose,
        "rows": [shown(row) for row in rows],
        "count": len(everything),
        "resting": sum(row.figures.circuit is not Circuit.CLOSED for row in rows),
        "in_flight": sum(row.figures.in_flight for row in rows),
        "accounts": sorted({row.account for row in everything} | ({chosen["account"]} - {""})),
        "providers": sorted({row.provider for row in everything} | ({chosen["provider"]} - {""})),
        "chosen": chosen,
        "query": urlencode({name: value for name, value in chosen.items() if value}),
        "may_close": may(request.user, "change", Route),
    }
    part = request.GET.get("part") == "table"
    name = "health_table" if part else "health"
    return TemplateResponse(request, f"admin/routing/gatewayprocess/{name}.html", context)


def _close(request: HttpRequest) -> HttpResponse:
    """Have every process close the circuit of one place."""
    if not may(request.user, "change", Route):
        raise PermissionDenied
    account = Account.objects.filter(name=request.POST.get("close_account", "")).first()
    model = request.POST.get("close_model", "")
    if account is None or not model or len(model) > 191 or not model.isprintable():
        raise Http404
    with one_revision(request, "circuit closed by hand"):
        close_circuit(account, model, request.user.get_username())
    messages.success(request, f"The circuit of {account.name} / {model} is closed in every process within two seconds.")
    query = urlencode({name: request.POST[name] for name in _FILTERS if request.POST.get(name)})
    return HttpResponseRedirect(f"{reverse('admin:routing_health')}{'?' if query else ''}{query}")


def shown(row: Told) -> dict[str, Any]:
    """A place as pages show it."""
    figures = row.figures
    rate = figures.error_rate
    failures = sorted(figures.failures.items(), key=lambda item: -item[1])
    return {
        "row": row,
        "closed": figures.circuit is Circuit.CLOSED,
        "rests": round(figures.rests),
        "first_byte": _seconds(figures.first_byte),
        "first_byte_p95": _seconds(figures.first_byte_p95),
        "total": _seconds(figures.total),
        "total_p95": _seconds(figures.total_p95),
        "rate": "-" if rate is None else f"{rate:.0%}",
        "bad": rate is not None and rate >= 0.1,
        "failures": [(kind.value, max(round(count), 1), kind in OF_KEYS) for kind, count in failures],
        "heard": round(figures.heard or 0.0),
        "probe": said(row.probe) if row.probe is not None else "",
        "probe_bad": row.probe is not None and row.probe.outcome != row.probe.Outcome.ANSWERS,
    }


def _seconds(value: float | None) -> str:
    """A time as one reads it: milliseconds below a second."""
    if value is None:
        return ""
    if value >= 0.9995:
        return f"{value:.1f} s"
    return f"{value * 1000:.0f} ms" if value >= 0.00995 else f"{value * 1000:.1f} ms"
