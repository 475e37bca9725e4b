"""manage.py login PROVIDER: sign in with a code that a person enters in a browser, and seal what comes of it."""

from __future__ import annotations

import secrets
from time import sleep, time
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.models import KeySet
from keys.ring import BadRing
from keys.vault import BadKey, enter_key, replace_key
from providers.config import together
from providers.credentials.device_flow import LOGINS, Login, NotYet, Pending, ask, begin, read, read_begin
from providers.credentials.request import CannotMint
from providers.hosts import BadUrl
from providers.minting import NoAnswer, send
from providers.models import Account, Provider
from providers.secrets import Secret

SOURCE: Final = "login"
#: Seconds that are added when the issuer wants to be asked less often, or does not answer (RFC 8628 3.5).
_SLOWER: Final = 5.0


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
            stored = self._sign_in(login)
            self._store(account, stored)
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

    def _sign_in(self, login: Login) -> Secret:
        """What the person's answer gives. Raises CannotMint."""
        verifier = secrets.token_urlsafe(48)
        pending = read_begin(*send(begin(login, verifier), private=False), time())
        self.stdout.write(f"Open    {pending.url}\nEnter   {pending.user_code}\nWaiting ...")
        self.stdout.flush()
        return self._wait(login, pending, verifier)

    def _wait(self, login: Login, pending: Pending, verifier: str) -> Secret:
        interval = pending.interval
        while time() + interval < pending.until:
            sleep(interval)
            try:
                return read(login, *send(ask(login, pending, verifier), private=False), time())
            except NotYet as problem:
                interval += _SLOWER if problem.slower else 0.0
            except NoAnswer:
                interval += _SLOWER
        raise CannotMint("the code has ended: begin again")

    def _store(self, account: Account, stored: Secret) -> None:
        with together("login", f"signed in to {account.name}"):
            key_set, _ = KeySet.objects.get_or_create(account=account, project=None, name="default")
            row = key_set.keys.filter(source=SOURCE).first()
            if row is None:
                enter_key(key_set, stored, source=SOURCE)
            else:
                replace_key(row, stored)
