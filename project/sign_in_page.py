"""The page on which one signs in to an account's provider with a code that is entered at the provider.

It works by forms alone; its script only presses "Check now" and counts the seconds. No answer holds more of a sign-in
than the code and the link that the person needs, and no address holds even those.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from keys import sign_ins
from keys.models import ProviderKey
from keys.ring import BadRing
from keys.roles import may
from keys.sealing import Unsealable
from keys.sign_ins import Outcome
from keys.vault import BadKey
from project.panel import one_revision
from providers.credentials.request import CannotMint
from providers.hosts import BadUrl
from providers.minting import NoAnswer
from providers.models import Account
from routing.revisions import RefusedChange

#: What the page says in each state; the reasons of the last ones are added.
SAYS: Final = {
    "waiting": "Waiting until the code has been entered.",
    "slower": "Waiting. The provider asks to be asked less often.",
    "unreachable": "The provider did not answer just now. It is asked again.",
    "denied": "The sign-in was declined.",
    "expired": "The code has ended before it was entered. Begin again.",
    "failed": "The sign-in failed.",
    "gone": "This sign-in is over. Begin again.",
    "done": "Signed in. The key is stored.",
}
#: States in which the page waits on.
WAITS: Final = ("waiting", "slower", "unreachable")


def offered(request: HttpRequest, account: Account) -> bool:
    """Is this account's provider signed in to so, and may this person enter its key?"""
    return sign_ins.login_of(account) is not None and _may(request)


def sign_in_page(request: HttpRequest, pk: str, context: dict[str, Any]) -> HttpResponse:
    """The page: what waits, or how to begin. POST: begin, check (in JSON for the script), cancel."""
    if not _may(request):
        raise PermissionDenied
    account = Account.objects.select_related("provider").filter(pk=pk).first() if pk.isdecimal() else None
    if account is None or sign_ins.login_of(account) is None:
        raise Http404
    page = _Page(request, account, context)
    return page.posted() if request.method == "POST" else page.show()


class _Page:
    def __init__(self, request: HttpRequest, account: Account, context: dict[str, Any]) -> None:
        self.request = request
        self.account = account
        self.context = context
        self.back = reverse("admin:providers_account_change", args=[account.pk])
        self.here = reverse("admin:providers_account_sign_in", args=[account.pk])

    def show(self, outcome: Outcome | None = None) -> HttpResponse:
        """The page as it stands. `outcome` is what ended the sign-in, or kept one from beginning."""
        waiting = None
        if outcome is None or outcome.state in WAITS:
            try:
                waiting = sign_ins.shown(self.account, self.request.user)
            except (Unsealable, BadRing):
                sign_ins.forget(self.account, self.request.user)
        state = waiting.state if waiting is not None else outcome.state if outcome is not None else ""
        context = {
            **self.context,
            "title": f"Sign in to {self.account.provider.name}",
            "account": self.account,
            "back": self.back,
            "waiting": waiting,
            "state": state,
            "says": _says(outcome) if outcome is not None and waiting is None else SAYS.get(state, ""),
            "is_off": not (self.account.enabled and self.account.provider.enabled),
        }
        return TemplateResponse(self.request, "admin/providers/account/sign_in.html", context)

    def posted(self) -> HttpResponse:
        match self.request.POST.get("do"):
            case "begin":
                return self._begin()
            case "cancel":
                sign_ins.forget(self.account, self.request.user)
                return HttpResponseRedirect(self.back)
            case _:
                return self._check()

    def _begin(self) -> HttpResponse:
        try:
            sign_ins.begin(self.account, self.request.user)
        except NoAnswer as problem:
            return self.show(Outcome("failed", f"{problem}. Try again."))
        except (CannotMint, BadUrl, BadRing) as problem:
            return self.show(Outcome("failed", str(problem)))
        return HttpResponseRedirect(self.here)

    def _check(self) -> HttpResponse:
        """Ask the issuer if it is time, and store what it gives."""
        try:
            outcome = sign_ins.ask(self.account, self.request.user)
            if outcome.secret is not None:
                with one_revision(self.request, f"signed in to {self.account.name}"):
                    sign_ins.store(self.account, outcome.secret)
        except RefusedChange as problem:
            outcome = Outcome("failed", " ".join(problem.messages))
        except (BadKey, BadUrl, BadRing) as problem:
            outcome = Outcome("failed", str(problem))
        except Unsealable:
            sign_ins.forget(self.account, self.request.user)
            outcome = Outcome("gone")
        if outcome.state == "done":
            messages.success(self.request, f"Signed in: the key is in account {self.account.name}.")
        if self.request.headers.get("accept") == "application/json":
            left, again = sign_ins.times(self.account, self.request.user)
            told = {"state": outcome.state, "says": _says(outcome), "left": left, "again": again, "back": self.back}
            return JsonResponse(told)
        if outcome.state == "done":
            return HttpResponseRedirect(self.back)
        return HttpResponseRedirect(self.here) if outcome.state in WAITS else self.show(outcome)


def _may(request: HttpRequest) -> bool:
    """A first sign-in enters a key, a later one replaces it."""
    return may(request.user, "add", ProviderKey) and may(request.user, "change", ProviderKey)


def _says(outcome: Outcome) -> str:
    said = SAYS[outcome.state]
    return f"{said} {outcome.why[:1].upper()}{outcome.why[1:]}." if outcome.state == "failed" and outcome.why else said
