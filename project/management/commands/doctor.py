"""`manage.py doctor`: checks the installation and prints what is wrong and the way out."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from project.diagnosis import Finding, Status, as_json
from project.diagnosis_rows import examine


class Command(BaseCommand):
    help = "Check the installation: what is wrong, and the way out. Ends with 1 if something fails."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        found = examine()
        if options["json"]:
            self.stdout.write(as_json(found))
        else:
            for finding in found:
                self.stdout.write(self._line(finding))
            counts = {status: sum(finding.status is status for finding in found) for status in Status}
            self.stdout.write(f"\n{counts[Status.FAIL]} failed, {counts[Status.WARN]} warnings, {counts[Status.OK]} ok")
        if any(finding.status is Status.FAIL for finding in found):
            sys.exit(1)

    def _line(self, finding: Finding) -> str:
        paint = {Status.OK: self.style.SUCCESS, Status.WARN: self.style.WARNING, Status.FAIL: self.style.ERROR}
        line = f"{paint[finding.status](f'{finding.status:<4}')}  {finding.area:<9} {finding.what}"
        return f"{line}\n                -> {finding.way_out}" if finding.way_out else line
