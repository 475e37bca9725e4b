"""manage.py import_keys: seal the provider keys that the environment holds under the usual names."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.importing import import_keys
from keys.ring import BadRing


class Command(BaseCommand):
    help = (
        "Seal the provider keys found in the environment. Imported ones whose variable is gone are kept and named. "
        "Prints names, never values."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rebind",
            action="store_true",
            help="Take the database's word for which variables are keys and where they may go: seal the keys of "
            "providers that the catalog lacks, and of accounts whose address was changed, for their present address.",
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help="Remove the imported keys whose variable is not set in this shell.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = import_keys(os.environ, rebind=options["rebind"], prune=options["prune"])
        except BadRing as error:
            raise CommandError(str(error)) from error
        for sign, lines in (("+", report.added), ("-", report.removed), ("~", report.changed)):
            for line in lines:
                self.stdout.write(f"{sign} {line}")
        for line in report.kept:
            name, _, _ = line.partition(" ")
            self.stdout.write(f"= {line}: kept though {name} is not set; --prune removes it")
        for line in report.refused:
            self.stderr.write(f"! {line}")
        if not report.wrote and options["verbosity"]:
            self.stdout.write("nothing to change")
