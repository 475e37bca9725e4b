"""manage.py token PROJECT, or --fleet ACCOUNT: make a token and print it, and nothing else, on standard output."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from keys import tokens
from keys.models import ApiToken, Project
from keys.ring import BadRing
from keys.tokens import TokenError
from providers.config import together
from providers.models import Account
from routing.presence import reach
from routing.revisions import latest

_SPAN: Final = re.compile(r"(\d{1,6})([smhdw])\Z")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHOWN: Final = 10


class Command(BaseCommand):
    help = (
        "Make a token of a project, or for the workers of an account. Prints the token alone; it cannot be shown again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument("project", nargs="?", help="The project's name.")
        owner.add_argument(
            "--fleet", metavar="ACCOUNT", help="Of the kind f: workers of this account register with it, and no more."
        )
        parser.add_argument("--create", action="store_true", help="Make the project if there is none of that name.")
        parser.add_argument("--expires", metavar="30d", help="Life of the token: a number and one of s, m, h, d, w.")
        parser.add_argument("--name", default="", help="What the token is for, shown in lists.")
        parser.add_argument(
            "--kind",
            default=ApiToken.Kind.PROJECT,
            choices=[kind for kind in ApiToken.Kind.values if kind != ApiToken.Kind.FLEET],
            help="p: for /v1 (the default); a: for /manage/ and the figures alone; t: as p, marked as a test's.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        expires_at = self._expiry(options["expires"])
        try:
            with together("token", "a token from the command line"):
                told: dict[str, Any] = {"name": options["name"][:80], "expires_at": expires_at}
                if options["fleet"]:
                    account = self._account(options["fleet"])
                    _, plaintext = tokens.issue(None, account=account, kind=ApiToken.Kind.FLEET, **told)
                else:
                    project = self._project(options["project"], create=options["create"])
                    _, plaintext = tokens.issue(project, kind=options["kind"], **told)
        except (TokenError, BadRing) as error:
            raise CommandError(str(error)) from error
        # A token that is printed works: what is piped straight into a request must not be ahead of the gateways.
        reach(latest(), wait=2.0)
        self.stdout.write(plaintext)

    def _account(self, name: str) -> Account:
        account = Account.objects.filter(name=name).first()
        if account is None:
            raise CommandError(f"there is no account {name!r}")
        return account

    def _project(self, name: str, *, create: bool) -> Project:
        project = Project.objects.filter(name=name).first()
        if project is not None:
            return project
        if not create:
            names = list(Project.objects.values_list("name", flat=True)[: _SHOWN + 1])
            there = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            raise CommandError(
                f"there is no project {name!r}; make it with --create, or take one of: {there or '(none yet)'}"
            )
        project = Project(name=name)
        try:
            project.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        project.save()
        return project

    def _expiry(self, text: str | None) -> datetime | None:
        if text is None:
            return None
        span = _SPAN.match(text)
        if span is None or int(span[1]) == 0:
            raise CommandError("--expires takes a number and a unit, as in 12h, 30d or 8w")
        return timezone.now() + timedelta(seconds=int(span[1]) * _UNITS[span[2]])
