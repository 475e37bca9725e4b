"""`manage.py drain`: bring the journal into the database, once or until stopped."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from api.drain import drain


class Command(BaseCommand):
    help = "Bring the usage journal into the database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--once", action="store_true", help="one run (the default)")
        how.add_argument("--forever", action="store_true", help="run until SIGTERM or SIGINT")
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between two runs of --forever")

    def handle(self, *args: Any, **options: Any) -> None:
        report = drain()
        if not options["forever"]:
            self.stdout.write(str(report))
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        waiting = ""
        while not stop.wait(options["interval"]):
            report = drain()
            if report.waiting != waiting:
                waiting = report.waiting
                self.stderr.write(f"drain: {waiting or 'at work again'}")
        drain()
