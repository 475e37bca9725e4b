"""manage.py rotate_ring: put a new master key into use and re-wrap every stored key with it, while requests go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys import ring as rings
from keys import rotation
from keys.ring import BadRing, State


class Command(BaseCommand):
    help = (
        "Rotate the ring of master keys: add a key, make it the primary, re-wrap every stored key. Safe to interrupt "
        "and to run again. Where several machines hold copies of the ring, do the steps one at a time and copy the "
        "file between them: --add, copy, --promote, copy, --rewrap, then --disable-old."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_mutually_exclusive_group()
        steps.add_argument("--init", action="store_true", help="Make the ring, if there is none.")
        steps.add_argument("--status", action="store_true", help="Show ring keys and how many rows each wraps.")
        steps.add_argument("--add", action="store_true", help="Only add a key that opens and does not seal yet.")
        steps.add_argument("--promote", action="store_true", help="Only make the added key the primary.")
        steps.add_argument("--rewrap", action="store_true", help="Only re-wrap rows, or go on with that.")
        steps.add_argument("--disable-old", action="store_true", help="Disable keys that wrap nothing any more.")
        parser.add_argument("--batch", type=int, default=rotation.BATCH, help="Rows per transaction.")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.RING_FILE)
        try:
            if options["init"]:
                ring = rings.create(path)
                self.stdout.write(f"{path}: {ring!r}")
                return
            elif options["add"]:
                rings.change(path, rotation.add)
            elif options["promote"]:
                rings.change(path, rotation.promote)
            elif options["disable_old"]:
                rings.change(path, rotation.retire)
            elif options["rewrap"]:
                self._rewrap(options["batch"])
            elif not options["status"]:
                self._rotate(path)
                self._rewrap(options["batch"])
            self._status()
        except BadRing as error:
            raise CommandError(str(error)) from error

    def _rotate(self, path: Path) -> None:
        """Add and promote in one step of the file, unless a rotation that was cut short has done it already."""
        states = rings.reload().states
        unfinished = State.DECRYPT_ONLY in states.values() and any(
            states.get(key_id) is State.DECRYPT_ONLY for key_id in rotation.in_use()
        )
        if unfinished:
            self.stdout.write("going on with the rotation that was not finished")
            return

        def add_and_promote(document: dict[str, Any]) -> None:
            if State.ADDED not in states.values():
                rotation.add(document)
            rotation.promote(document)

        rings.change(path, add_and_promote)

    def _rewrap(self, batch: int) -> None:
        rings.reload()
        done = rotation.rewrap_all(max(1, batch))
        self.stdout.write(f"re-wrapped {done.rewrapped}, {done.already} were already")
        if done.failed:
            for line in done.failed:
                self.stderr.write(f"! {line}")
            raise CommandError(f"{len(done.failed)} row(s) cannot be opened: enter those keys again and run this again")

    def _status(self) -> None:
        rows = rotation.in_use()
        for key_id, state in rings.reload().states.items():
            self.stdout.write(f"{key_id}  {state}  {rows[key_id]} row(s)")
