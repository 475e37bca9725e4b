"""Ask upstreams which models they have: what they list, what is mapped, and which routes lead to models that are gone.

Changes nothing. Ends with 1 if an account that was named could not be asked.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from routing.build import BadSnapshot, build
from routing.syncing import Found, UnknownAccount, sync

#: Names of unmapped models that are printed of one account.
_MOST_SHOWN = 40


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", nargs="*", help="Accounts to ask; all that can be asked, if none is named.")
        parser.add_argument("--json", action="store_true", help="Print one JSON list, with every name.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = sync(build(), options["account"])
        except (UnknownAccount, BadSnapshot) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(msgspec.to_builtins(found), indent=2))
        else:
            self.stdout.write("\n".join(line for one in found for line in _lines(one)) or "no account can be asked")
        if options["account"] and any(one.state in ("failed", "not asked") for one in found):
            sys.exit(1)


def _lines(found: Found) -> list[str]:
    if found.state != "listed":
        return [f"{found.account}: {found.state}: {found.why}"]
    rest = f", {found.refused} names that no model may have" if found.refused else ""
    cut = "" if found.whole else ", and more that were not read"
    lines = [f"{found.account}: {len(found.listed)} listed{rest}{cut}; {len(found.mapped)} routes"]
    lines += [f"  gone: {route.upstream}, which {route.public} leads to" for route in found.vanished]
    lines += [f"  not mapped: {name}" for name in found.new[:_MOST_SHOWN]]
    if len(found.new) > _MOST_SHOWN:
        lines.append(f"  and {len(found.new) - _MOST_SHOWN} more (--json prints all)")
    return lines
