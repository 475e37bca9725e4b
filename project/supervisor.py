"""Keeps Jackfield's processes running, and stops them in order.

The parent loads Django once and forks: a child starts in milliseconds and shares the parent's memory. It stays without
threads and without connections, so that a child can be forked again at any time. Each child has a process group of its
own, so that Ctrl-C reaches the parent alone and the order of the stop holds; a pipe tells the children when the parent
is gone without a word, and they stop by themselves.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Final, NoReturn

logger = logging.getLogger(__name__)

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
#: A child that ran so long had a good start: the pauses begin anew.
GOOD_RUN: Final = 60.0
_fork = multiprocessing.get_context("fork")


@dataclass
class Child:
    """One kept process. Children of a lower `phase` are stopped first; `grace` is how long that may take (seconds)."""

    name: str
    target: Callable[[], None]
    phase: int = 0
    grace: float = 10.0
    process: BaseProcess | None = None
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.is_alive()


@dataclass
class Supervisor:
    """Runs the children until SIGTERM or SIGINT; `run` returns the exit code."""

    children: Sequence[Child]
    wanted: int = 0
    _wake: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _life: tuple[int, int] = field(default_factory=os.pipe)

    def run(self) -> int:
        for end in self._wake:
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake[1].fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._asked)
        # There is nothing to reload: configuration comes from the database, at once. A lost terminal ends nothing.
        signal.signal(signal.SIGHUP, lambda *_: None)
        while not self.wanted:
            now = time.monotonic()
            self._reap(now)
            for child in self.children:
                if child.process is None and child.due <= now:
                    self._start(child)
            due = [child.due - now for child in self.children if child.process is None]
            self._sleep(min(due, default=None), self.children)
        return self._stop()

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.wanted += 1

    def _sleep(self, seconds: float | None, children: Sequence[Child]) -> None:
        """Until a signal comes, one of the children ends, or the time is over."""
        sentinels = [child.process.sentinel for child in children if child.process is not None]
        wait([self._wake[0], *sentinels], None if seconds is None else max(0.0, seconds))
        while True:
            try:
                if not self._wake[0].recv(64):
                    return
            except BlockingIOError:
                return

    def _start(self, child: Child) -> None:
        # Signals wait while the child is between two worlds: it must not run the parent's handlers, nor miss one.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            child.process = _fork.Process(target=self._become, args=(child.target,), name=f"jackfield-{child.name}")
            child.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        child.started = time.monotonic()

    def _become(self, target: Callable[[], None]) -> None:
        """In the child: leave the parent's group, signals and pipe ends, watch its life, do the work."""
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for end in self._wake:
            end.close()
        os.close(self._life[1])
        for number in STOP_SIGNALS:
            signal.signal(number, leave)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        threading.Thread(target=_outlive_nobody, args=(self._life[0],), name="parent-watch", daemon=True).start()
        target()

    def _reap(self, now: float) -> None:
        for child in self.children:
            if child.process is None or child.process.is_alive():
                continue
            code = child.process.exitcode
            child.process.close()
            child.process = None
            if now - child.started > GOOD_RUN:
                child.pause = 0.0
            child.pause = min(LONGEST_PAUSE, child.pause * 2 or FIRST_PAUSE)
            child.due = now + child.pause
            logger.warning("the %s ended (%s); it starts again in %.1f s", child.name, how(code), child.pause)

    def _stop(self) -> int:
        """Phase by phase: ask, wait for the grace, then insist. A second signal of the operator's shortens the wait."""
        clean = True
        for phase in sorted({child.phase for child in self.children}):
            group = [child for child in self.children if child.phase == phase and child.alive]
            asked = time.monotonic()
            for child in group:
                os.kill(_pid(child), signal.SIGTERM)
            while waited_for := [child for child in group if child.alive]:
                patience = time.monotonic() - asked if self.wanted < 2 else float("inf")
                for child in waited_for:
                    if patience >= child.grace:
                        logger.warning("the %s did not stop in time and was ended", child.name)
                        _end(child)
                        clean = False
                left = [child for child in waited_for if child.alive]
                if left:
                    self._sleep(min(child.grace for child in left) - patience, left)
        return 0 if clean else 1


def _end(child: Child) -> None:
    os.kill(_pid(child), signal.SIGKILL)
    if child.process is not None:
        child.process.join()


def _pid(child: Child) -> int:
    if child.process is None or child.process.pid is None:
        raise ProcessLookupError(child.name)
    return child.process.pid


def how(code: int | None) -> str:
    """An exit code in words."""
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """A signal handler: end this process in good order, running every `finally` on the way."""
    raise SystemExit(0)


def _outlive_nobody(life: int) -> None:
    """Wait for the other end of the pipe to close, which only the parent's death does; then stop as if asked."""
    while not select.select([life], [], [])[0]:
        continue
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGTERM)
    time.sleep(40)
    os._exit(1)


def listen(host: str, port: int, *, patience: float = 2.0) -> socket.socket:
    """A listening socket. A predecessor's children may need a moment to leave the port.

    Raises SystemExit with one line that says what to do where the address cannot be had.
    """
    end = time.monotonic() + patience
    while True:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
                0
            ]
            return socket.create_server((address[0], port), family=family, backlog=2048)
        except socket.gaierror:
            refuse(f"HOST={host} is no address of this machine. Set HOST, as in HOST=127.0.0.1")
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE and time.monotonic() < end:
                time.sleep(0.1)
                continue
            way_out = f"Stop what uses it or choose another port, as in PORT={port + 1} make run"
            refuse(f"Jackfield cannot listen on {host}:{port}: {os.strerror(problem.errno or 0)}. {way_out}")


def refuse(line: str) -> NoReturn:
    """End the start with one line."""
    sys.stderr.write(f"{line}\n")
    raise SystemExit(1)
