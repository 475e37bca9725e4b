"""Make every gateway process rebuild its whole snapshot, as after a write to the database that did not pass Django."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from routing.revisions import publish


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--note", default="full rebuild", help="What the revision says of itself.")
        parser.add_argument("--author", default="command line", help="Who it is signed by.")

    def handle(self, *args: Any, **options: Any) -> None:
        number = publish(options["author"], options["note"])
        self.stdout.write(f"revision {number}: every process rebuilds its snapshot")
