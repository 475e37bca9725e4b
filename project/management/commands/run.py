"""`manage.py run`: everything that `make run` starts, after the environment is there."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from project import boot
from project.supervisor import STOP_SIGNALS, Supervisor, leave, listen


class Command(BaseCommand):
    help = "Prepare the installation and serve: gateways, sandbox, journal drainer, Celery worker and beat."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.HOST, help="HOST unless told")
        parser.add_argument("--port", type=int, default=settings.PORT, help="PORT unless told")
        parser.add_argument("--no-celery", action="store_true", help="leave the worker and beat to another machine")
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--prepare-only", action="store_true", help="do what a start does first, and end")
        only.add_argument("--gateway-only", action="store_true", help="one gateway in this process, nothing prepared")

    def handle(self, *args: Any, **options: Any) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, leave)
        host, port = options["host"], options["port"]
        if options["gateway_only"]:
            boot.harden()
            boot.serve_gateway(host, port)
            return
        url = f"http://{'127.0.0.1' if host in ('', '0.0.0.0', '::') else host}:{port}"  # noqa: S104 - compared
        if options["prepare_only"]:
            self._welcome(boot.prepare(settings.SANDBOX_PORT), url)
            return
        listener = listen(host, port)
        sandbox = boot.open_sandbox()
        self._welcome(boot.prepare(sandbox.getsockname()[1] if sandbox else 0), url)
        family = boot.children(listener, sandbox, worker=not options["no_celery"])
        self.stdout.write(f"Jackfield on {url} (Ctrl-C stops it)")
        self.stdout.flush()
        raise SystemExit(Supervisor(family).run())

    def _welcome(self, welcome: boot.Welcome | None, url: str) -> None:
        if welcome is not None:
            self.stdout.write(welcome.text(url))
            self.stdout.flush()
