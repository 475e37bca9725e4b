"""`manage.py export_config`: the configuration as one TOML document, without secrets."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from routing.document import omitted_keys, state, text_of
from routing.document_baseline import baseline


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = "Write the configuration as TOML. Without --all: what operators added to the catalog or changed in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="every field of every row, the catalog's included")
        parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rows = state()
            text = text_of(rows, baseline(rows), everything=options["all"])
            omitted = omitted_keys()
        except DatabaseError as error:
            raise CommandError(
                f"the database cannot be read: {error}. Has `.venv/bin/python manage.py migrate` run?"
            ) from error
        if options["output"]:
            try:
                Path(options["output"]).write_text(text, encoding="utf-8")
            except OSError as error:
                raise CommandError(f"{options['output']} cannot be written: {error.strerror}") from error
        else:
            self.stdout.write(text, ending="")
        if omitted:
            sys.stderr.write(
                f"note: {omitted} key(s) entered by hand are not in the document; enter them where it is applied.\n"
            )
