"""Print how a model name resolves, every candidate and every one dropped and why. Ends with 1 if none can serve."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from routing.build import BadSnapshot, build
from routing.explain import UnknownProject, explain, lines
from routing.fleet_rows import rows
from routing.presence import without_token
from routing.questions import ENDPOINTS, BadQuestion, needs_of


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help="As an application would ask for it.")
        parser.add_argument("--project", default="", help="Through this project's allowlist and keys.")
        parser.add_argument("--endpoint", default="", help=f"One of {', '.join(ENDPOINTS)}.")
        parser.add_argument("--needs", default="", help="What it needs: stream,tools,images,schema,8000 (tokens).")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        rows.load()
        try:
            found = explain(
                build(), options["model"], options["project"], options["endpoint"], needs_of(options["needs"])
            )
        except (UnknownProject, BadQuestion, BadSnapshot) as error:
            raise CommandError(str(error)) from error
        accounts = [place["account"] for place in found["candidates"]]
        # Access tokens are the gateways' own: this process has none, and reads what they say of theirs.
        found["without_token"] = [line for line in without_token() if any(f" {name}: " in line for name in accounts)]
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
        else:
            self.stdout.write("\n".join([*lines(found), *(f"  {line}" for line in found["without_token"])]))
        if all(place["problems"] for place in found["candidates"]):
            sys.exit(1)
