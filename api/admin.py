"""The page of usage: read only, without counting a table that grows with every request."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from api.models import UsageRecord
from project.panel import PanelChangeList, ReadOnlyPanel

#: Totals are of the newest rows of a selection, so that a page costs the same however many there are.
MOST_SUMMED: Final = 20_000


class FaultFilter(admin.SimpleListFilter):
    """Whose fault a failure was; most requests are nobody's."""

    title = "fault"
    parameter_name = "fault__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in ("caller", "policy", "upstream", "gateway")] + [("none", "none")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
        value = self.value()
        return queryset if value is None else queryset.filter(fault="" if value == "none" else value)


class UsageChangeList(PanelChangeList):
    """A page of usage with the totals of everything the filters let through."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        newest = self.queryset.order_by("-started_at", "-id").values("pk")[:MOST_SUMMED]
        found = UsageRecord.objects.filter(pk__in=newest).aggregate(
            requests=Count("id"),
            input=Sum("input_tokens"),
            output=Sum("output_tokens"),
            cost=Sum("cost_micro"),
            unpriced=Count("id", filter=Q(cost_micro=None, attempts__gt=0)),
        )
        self.totals = {
            **found,
            "bounded": found["requests"] == MOST_SUMMED,
            "usd": f"{(found['cost'] or 0) / 1_000_000:,.6f}",
        }


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyPanel):
    list_display = ("started", "project", "model", "served_by", "result", "error", "tokens", "cost", "took", "revision")
    list_filter = ("outcome", FaultFilter, "stream", "status")
    list_before_template = "admin/api/usagerecord/totals.html"
    search_fields = ("=request_id", "=project", "=model", "=account", "=upstream_model", "=key_fingerprint")
    search_help_text = "Exact: request id, project, model, account, upstream model or key fingerprint"
    paginator = InfinitePaginator
    show_full_result_count = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PanelChangeList]:
        return UsageChangeList

    @display(description="Started", ordering="started_at")
    def started(self, row: UsageRecord) -> str:
        return timezone.localtime(row.started_at).strftime("%Y-%m-%d %H:%M:%S")

    @display(description="Error", ordering="error_code")
    def error(self, row: UsageRecord) -> str:
        return row.error_code or "-"

    @display(description="Served by")
    def served_by(self, row: UsageRecord) -> str:
        return f"{row.account} / {row.upstream_model}" if row.account else "-"

    @display(
        description="Result",
        label={"served": "success", "failed": "danger", "cut by the upstream": "warning", "client left": "info"},
    )
    def result(self, row: UsageRecord) -> str:
        return row.get_outcome_display()

    @display(description="Tokens in / out")
    def tokens(self, row: UsageRecord) -> str:
        if row.input_tokens is None and row.output_tokens is None:
            return "-"
        counts = ("unknown" if count is None else str(count) for count in (row.input_tokens, row.output_tokens))
        return " / ".join(counts)

    @display(description="USD")
    def cost(self, row: UsageRecord) -> str:
        """Unknown only where an upstream was asked: what was refused before cost nothing."""
        if row.cost_micro is None:
            return "unknown" if row.attempts else "0"
        return f"{row.cost_micro / 1_000_000:.6f}"

    @display(description="Total")
    def took(self, row: UsageRecord) -> str:
        return "-" if row.total_us is None else f"{row.total_us / 1000:,.1f} ms"
