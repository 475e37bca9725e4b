"""manage.py login PROVIDER: sign in with a code that a person enters in a browser, and seal what comes of it."""

from __future__ import annotations

from time import sleep, time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.ring import BadRing
from keys.sign_ins import check, store
from keys.vault import BadKey
from providers import device_login
from providers.credentials.device_flow import SLOWER, CodeEnded, Flow, NotYet, Pending
from providers.credentials.logins import LOGINS
from providers.credentials.request import CannotMint
from providers.hosts import BadUrl
from providers.minting import NoAnswer
from providers.models import Account, Provider
from providers.secrets import Secret


class Command(BaseCommand):
    help = (
        "Sign in to a provider: shows a code and where to enter it, waits, and seals the result as a key of the "
        f"account's shared set. Signing in again replaces it. Providers: {', '.join(LOGINS)}."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", help="Its id, or another name of it.")
        parser.add_argument(
            "--account", default="", help="The account that gets the key; the provider's own unless told."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        provider = self._provider(options["provider"])
        login = LOGINS.get(provider.slug)
        if login is None:
            raise CommandError(f"nobody signs in to '{provider.slug}' so; known: {', '.join(LOGINS)}")
        name = options["account"] or provider.slug
        account = Account.objects.select_related("provider").filter(name=name, provider=provider).first()
        if account is None:
            raise CommandError(f"there is no account '{name}' of {provider.slug}")
        try:
            check(account)
            store(account, self._sign_in(login))
        except (CannotMint, BadKey, BadUrl, BadRing) as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(f"signed in; the key is in account {account.name}")
        if not (provider.enabled and account.enabled):
            self.stdout.write(f"{account.name} is off: requests reach it once the provider and the account are on")

    def _provider(self, asked: str) -> Provider:
        wanted = asked.strip().lower()
        for provider in Provider.objects.all():
            if wanted == provider.slug or wanted in provider.aliases:
                return provider
        raise CommandError(f"there is no provider '{asked}'")

    def _sign_in(self, login: Flow) -> Secret:
        """What the person's answer gives. Raises CannotMint."""
        pending = device_login.begun(login)
        self.stdout.write(f"Open    {pending.url}\nEnter   {pending.user_code}\nWaiting ...")
        self.stdout.flush()
        return self._wait(login, pending)

    def _wait(self, login: Flow, pending: Pending) -> Secret:
        interval = pending.interval
        while time() + interval < pending.until:
            sleep(interval)
            try:
                return device_login.asked(login, pending)
            except NotYet as problem:
                interval += SLOWER if problem.slower else 0.0
            except NoAnswer:
                interval += SLOWER
        raise CodeEnded
