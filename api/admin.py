"""The page of usage: read only, without counting a table that grows with every request."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from api.models import FAILED, REFUSED, UsageRecord
from project.panel import PanelChangeList, ReadOnlyPanel

#: What is said of a request that was refused, by whose fault it was.
REFUSALS: Final = {"caller": "refused", "policy": "refused (policy)"}
#: Totals are of the newest rows of a selection, so that a page costs the same however many there are.
MOST_SUMMED: Final = 20_000


class FaultFilter(admin.SimpleListFilter):
    """Whose fault a failure was; most requests are nobody's."""

    title = "fault"
    parameter_name = "fault__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        groups = [("failed", "failed: upstream or gateway"), ("refused", "refused: caller or policy")]
        return groups + [(name, name) for name in ("caller", "policy", "upstream", "gateway")] + [("none", "none")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
        value = self.value()
        if value == "failed":
            return queryset.filter(FAILED)
        if value == "refused":
            return queryset.filter(REFUSED)
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
            raced=Count("id", filter=Q(hedged=True)),
            lost=Sum("hedge_cost_micro"),
            lost_unknown=Count("id", filter=Q(hedged=True, hedge_cost_micro=None)),
        )
        self.totals = {
            **found,
            "lost_usd": f"{(found['lost'] or 0) / 1_000_000:,.6f}",
            "bounded": found["requests"] == MOST_SUMMED,
            "usd": f"{(found['cost'] or 0) / 1_000_000:,.6f}",
        }


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyPanel):
    list_display = ("started", "project", "model", "served_by", "result", "error", "tokens", "cost", "took", "revision")
    list_filter = ("outcome", FaultFilter, "stream", "hedged", "status")
    list_before_template = "admin/api/usagerecord/totals.html"
    search_fields = ("=request_id", "=project", "=model", "=account", "=upstream_model", "=key_fingerprint")
    search_help_text = "Exact: request id, project, model, account, upstream model or key fingerprint"
    list_per_page = 100
    paginator = InfinitePaginator
    show_full_result_count = False

    fieldsets = (
        (
            "Request",
            {
                "fields": (
                    "request_id",
                    ("started_at", "revision"),
                    ("project", "token_id"),
                    ("endpoint", "dialect"),
                    ("model", "stream"),
                )
            },
        ),
        (
            "Answer",
            {
                "fields": (
                    ("result", "status"),
                    ("error_code", "fault"),
                    ("served_model", "provider"),
                    ("account", "upstream_model"),
                    "key_fingerprint",
                )
            },
        ),
        (
            "Tokens, images and cost",
            {
                "fields": (
                    ("input_tokens", "output_tokens"),
                    ("cache_read_tokens", "cache_write_tokens"),
                    ("reasoning_tokens", "images"),
                    ("cost", "hedge_cost"),
                    "hedged",
                )
            },
        ),
        (
            "Times and attempts",
            {"fields": (("took", "first_byte"), ("resolve", "queue"), "connect", "planned", "tries")},
        ),
    )

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
        label={
            **{"served": "success", "client left": "info", "refused (policy)": "warning"},
            **{"failed": "danger", "cut by the upstream": "danger", "the gateway was killed": "danger"},
        },
    )
    def result(self, row: UsageRecord) -> str:
        """A refusal is no failure: nothing broke, the request was wrong or what it asked for is not set up."""
        if row.outcome == UsageRecord.Outcome.ERROR and row.fault in REFUSALS:
            return REFUSALS[row.fault]
        return row.get_outcome_display()

    @display(description="Tokens")
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

    @display(description="Hedging, USD at least")
    def hedge_cost(self, row: UsageRecord) -> str:
        """Of the place that was given up: its prompt; what it had written by then nobody tells."""
        if row.hedge_cost_micro is None:
            return "unknown" if row.hedged else "-"
        return f"{row.hedge_cost_micro / 1_000_000:.6f}"

    @display(description="Total")
    def took(self, row: UsageRecord) -> str:
        return milliseconds(row.total_us)

    @display(description="To the first byte")
    def first_byte(self, row: UsageRecord) -> str:
        return milliseconds(row.first_byte_us)

    @display(description="To connect")
    def connect(self, row: UsageRecord) -> str:
        return milliseconds(row.connect_us)

    @display(description="Waited its turn")
    def queue(self, row: UsageRecord) -> str:
        return milliseconds(row.queue_us)

    @display(description="To find the route")
    def resolve(self, row: UsageRecord) -> str:
        return milliseconds(row.resolve_us)

    @display(description="Plan")
    def planned(self, row: UsageRecord) -> str:
        """The order in which it was to be tried, and beneath it what was left out."""
        order, _, out = row.plan.partition(" | out: ")
        parts = (order, *(f"left out: {each}" for each in out.split("; ") if each))
        return format_html_join("", "<div>{}</div>", ((part,) for part in parts if part)) or "one place only"

    @display(description="Attempts")
    def tries(self, row: UsageRecord) -> str:
        """Each call of an upstream in a line: whom, with which key, what came of it and when."""
        return format_html_join("", "<div>{}</div>", ((_told(each),) for each in row.attempt_log)) or "none"


def milliseconds(microseconds: int | None) -> str:
    """A time as it is shown; unknown is a dash."""
    return "-" if microseconds is None else f"{microseconds / 1000:,.1f} ms"


def _told(attempt: dict[str, Any]) -> str:
    key = f", key {attempt['key']}" if attempt.get("key") else ""
    came = " ".join(str(attempt[name]) for name in ("status", "verdict") if attempt.get(name)) or "no answer"
    twice = ", sent again after its connection was lost" if attempt.get("again") else ""
    return f"{attempt.get('account')} / {attempt.get('model')}{key}: {came}, {milliseconds(attempt.get('us'))}{twice}"
