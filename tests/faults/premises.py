"""An installation whose database and Redis can be made to fail, with gateways that run on them.

All scenarios of our own dependencies share one: in the long form on a PostgreSQL of its own, in the short form on
SQLite; both with a Redis of its own behind a faulty proxy. A scenario leaves everything healed.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from installation import ROOT, Installation, as_first_started, free_port
from tests.faults import lab
from tests.faults.databases import Database, Postgres, Sqlite
from tests.faults.documents import TWO_SIDES
from tests.faults.gateways import Gateways
from tests.faults.load import Load, load
from tests.faults.proxy import Proxy
from tests.faults.redis_server import RedisServer
from tests.faults.rows import Scale


def eventually(check: Callable[[], Any], seconds: float = 30.0, pause: float = 0.01) -> float:
    """Seconds until it came true; infinity if it did not."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if check():
            return time.monotonic() - began
        time.sleep(pause)
    return float("inf")


class Premises:
    """`gateways` run until a scenario changes that; `drainer` is a process too."""

    def __init__(self, folder: Path, scale: Scale, seed: int, closing: contextlib.ExitStack) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            raise FileNotFoundError("the faults of Redis need redis-server, which is not installed")
        self.scale: Scale = scale
        self.redis = RedisServer(binary, folder)
        self.redis.start()
        closing.callback(self.redis.stop)
        self.redis_proxy = Proxy("127.0.0.1", self.redis.port, seed=seed)
        closing.callback(self.redis_proxy.stop)
        home, log = folder / "home", folder / "truth.log"
        self.database = _postgres(folder, seed) if scale == "long" else _sqlite(folder, home)
        closing.callback(self.database.close)
        shared = {"DATABASE_URL": self.database.url, "REDIS_URL": f"redis://127.0.0.1:{self.redis_proxy.port}/0"}
        self.place = Installation(home, {"JACKFIELD_SANDBOX_PORT": "0", **lab.KEYS, **shared})
        if scale == "long":
            self.place.prepare()
        closing.callback(self.place.close)
        port = free_port()
        truth = str(ROOT / "tests" / "truth.py")
        self.truth = subprocess.Popen([sys.executable, truth, str(port), str(log)])
        closing.callback(self.truth.wait)
        closing.callback(self.truth.kill)
        self.truth_log = log
        self.gateways = Gateways(self.place, 4 if scale == "long" else 2)
        closing.callback(self.gateways.close)
        self.drainer = self.drain_forever()
        closing.callback(self.end_drainer)
        self._hand = closing.enter_context(contextlib.closing(lab.Hand(self.place)))
        self.act("apply", TWO_SIDES.format(port=port))
        self.token: str = self.act("token", "demo")
        self.settled()

    def drain_forever(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(ROOT / "manage.py"), "drain", "--forever"]
        return subprocess.Popen(command, cwd=ROOT, env=self.place.environment, stderr=subprocess.DEVNULL)

    def end_drainer(self) -> None:
        self.drainer.kill()
        self.drainer.wait()

    def act(self, what: str, *arguments: Any) -> Any:
        """What an operator does, or the journal's drainer: a function of `tests.faults.acts`."""
        return self._hand.do("act", [what, arguments])

    def load(self, seed: int, **more: Any) -> contextlib.AbstractContextManager[Load]:
        """A load that this machine carries easily, on all gateways."""
        return load(self.gateways.ports, self.token, seed=seed, **{"rate": 120.0, **more})

    def settled(self, seconds: float = 30.0) -> float:
        """Seconds until every gateway serves the newest revision and sees its database."""
        newest = self.act("newest")

        def all_of_them() -> bool:
            told = [self.gateways.readiness(port) for port in self.gateways.ports]
            return all(one.get("database") and one["revision"] >= newest for one in told)

        return eventually(all_of_them, seconds)

    def attached_to_redis(self, seconds: float = 30.0) -> float:
        """Seconds until every gateway asks Redis again, by what Redis itself says of its clients."""
        import redis

        client = redis.Redis.from_url(self.redis.url, socket_timeout=1)

        def all_of_them() -> bool:
            try:
                clients = client.client_list()
            except redis.exceptions.RedisError:
                return False
            asking = [one for one in clients if one["cmd"].startswith("zrange") and int(one["idle"]) <= 1]
            return len(asking) >= len(self.gateways.pids)

        took = eventually(all_of_them, seconds, 0.05)
        client.close()
        return took


def _postgres(folder: Path, seed: int) -> Database:
    return Postgres(folder / "postgres", seed=seed)


def _sqlite(folder: Path, home: Path) -> Database:
    """As a first start makes it, moved into a folder that can be moved away."""
    as_first_started(home)
    away = folder / "database"
    away.mkdir()
    for path in home.glob("*.sqlite3*"):
        path.rename(away / path.name)
    return Sqlite(next(away.glob("*.sqlite3")))


_made: dict[Scale, Premises] = {}


@contextlib.contextmanager
def premises(scale: Scale, seed: int) -> Iterator[Premises]:
    """The premises of this scale, which the first who asks makes."""
    if scale not in _made:
        with contextlib.ExitStack() as closing:
            temporary = tempfile.TemporaryDirectory(prefix="jackfield-chaos-", ignore_cleanup_errors=True)
            folder = Path(closing.enter_context(temporary))
            closing.callback(_made.clear)
            _made[scale] = Premises(folder, scale, seed, closing)
            lab.keep(closing.pop_all())
    yield _made[scale]
