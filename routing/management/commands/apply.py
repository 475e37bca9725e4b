"""`manage.py apply FILE`: a configuration document into the database, all of it in one revision or nothing."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from keys.ring import BadRing
from routing.applying import Refused, apply
from routing.document_diff import painted


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = "Apply a configuration document (TOML): print what changes; all of it in one revision, or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the document, or - for standard input")
        parser.add_argument("--dry-run", action="store_true", help="print what would change, and change nothing")
        parser.add_argument(
            "--rebind", action="store_true", help="seal the keys named here for their accounts' present addresses"
        )
        parser.add_argument("--author", help="who signs the revision (default: the user of this machine)")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["file"]
        note = "standard input" if name == "-" else Path(name).name
        try:
            outcome = apply(
                _text_of(name),
                author=options["author"] or _user(),
                note=f"apply {note}",
                dry_run=options["dry_run"],
                rebind=options["rebind"],
            )
        except Refused as error:
            count = len(error.problems)
            head = f"{note} is refused, nothing was changed ({count} problem{'s' if count > 1 else ''}):"
            raise CommandError("\n".join([head, *(f"  {problem}" for problem in error.problems)])) from error
        except BadRing as error:
            raise CommandError(f"nothing was changed: {error}") from error
        except DatabaseError as error:
            raise CommandError(
                f"nothing was changed, the database refused: {error}. Has `.venv/bin/python manage.py migrate` run?"
            ) from error
        coloured = options["force_color"] or (self.stdout.isatty() and not options["no_color"])
        for line in painted(outcome.diff) if coloured else outcome.diff:
            self.stdout.write(line)
        for remark in outcome.notes:
            sys.stderr.write(f"note: {remark}\n")
        self.stdout.write(_summary(outcome.revision, bool(outcome.diff), options["dry_run"]))


def _summary(revision: int, changed: bool, dry_run: bool) -> str:
    if dry_run:
        return "dry run: nothing was changed" if changed else "no changes"
    return f"revision {revision}" if revision else "no changes"


def _text_of(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode("utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is not UTF-8 text (byte {error.start})") from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown user"
