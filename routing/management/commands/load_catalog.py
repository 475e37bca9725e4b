"""Loads the catalog: `manage.py load_catalog [--json]`. Safe to run at any time; never undoes an operator's change."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from providers.catalog import BadCatalog
from routing.loading import Report, load_catalog


class Command(BaseCommand):
    """Write the catalog into the tables and tell where they differ from it on purpose."""

    help = "Load providers, accounts, public models, prefixes and model facts; keep what operators changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = load_catalog()
        except BadCatalog as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(asdict(report), ensure_ascii=False) if options["json"] else as_text(report))


def as_text(report: Report) -> str:
    """The report for people."""
    lines = [f"{'':14}{'catalog':>9}{'created':>9}{'updated':>9}"]
    lines += [
        f"{table:14}{wanted:>9}{created:>9}{updated:>9}" for table, (wanted, created, updated) in report.counts.items()
    ]
    lines.append(f"The mapping of public models is of {report.mapping_updated}.")
    lines.append(f"Revision {report.revision}." if report.revision else "Nothing changed.")
    if report.drift:
        lines.append("Kept as operators have it:")
        for drift in report.drift:
            column = f" {drift.field}" if drift.field else ""
            lines.append(
                f"  {drift.table} {drift.name}{column}: {_shown(drift.ours)} (catalog: {_shown(drift.catalogs)})"
            )
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
