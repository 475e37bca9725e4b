"""Who signs in to the control plane, and for how long: failed attempts are slowed down, idle sessions end (R-4.7).

Attempts are counted in the memory of each process, by source address and by name, in a table that cannot grow without
bound. An attempt counts from its start, so that many at once do not slip through while passwords are being compared.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

#: Failed attempts that a source or a name has in the window, in seconds; then it waits.
ATTEMPTS: Final = 10
WINDOW: Final = 300.0
#: Sources and names remembered at once; the ones longest quiet are forgotten first.
REMEMBERED: Final = 10_000
#: Seconds without a request after which a session ends, and its longest life whatever is done in it.
IDLE: Final = 30 * 60.0
LONGEST: Final = 12 * 3600.0
#: Seconds between two notes of a session's use.
NOTE_EVERY: Final = 60.0


class Attempts:
    """Recent failed attempts by key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until this key may try again; 0 is now."""
        times = self._times.get(key)
        if times is None:
            return 0.0
        now = self._clock()
        while times and times[0] <= now - WINDOW:
            times.popleft()
        return times[0] + WINDOW - now if len(times) >= ATTEMPTS else 0.0

    def add(self, key: str) -> None:
        self._times.setdefault(key, deque(maxlen=ATTEMPTS)).append(self._clock())
        self._times.move_to_end(key)
        while len(self._times) > REMEMBERED:
            self._times.popitem(last=False)

    def take_back(self, key: str) -> None:
        """The attempt that was added last did not fail."""
        if times := self._times.get(key):
            times.pop()


attempts = Attempts()


class SigningIn:
    """Middleware of the control plane, after authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(("/admin/", "/manage/")):
            _end_if_idle(request)
            if request.method == "POST" and request.path == reverse("admin:login"):
                return self._attempt(request)
        return self.get_response(request)

    def _attempt(self, request: HttpRequest) -> HttpResponse:
        name = request.POST.get("username", "").strip().lower()[:150]
        keys = (f"source {request.META.get('REMOTE_ADDR', '')}", f"name {name}")
        wait = max(attempts.wait(key) for key in keys)
        if wait:
            seconds = int(wait) + 1
            response = render(request, "admin/too_many_attempts.html", {"minutes": (seconds + 59) // 60}, status=429)
            response.headers["Retry-After"] = str(seconds)
            return response
        for key in keys:
            attempts.add(key)
        response = self.get_response(request)
        if request.user.is_authenticated:
            for key in keys:
                attempts.take_back(key)
        return response


def _end_if_idle(request: HttpRequest) -> None:
    if not request.user.is_authenticated:
        return
    now, session = time.time(), request.session
    began, seen = session.setdefault("began", now), session.setdefault("seen", now)
    if now - seen > IDLE or now - began > LONGEST:
        logout(request)
    elif now - seen > NOTE_EVERY:
        session["seen"] = now
