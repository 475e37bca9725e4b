"""What tests share: a ring, a small configuration made through the ORM, the sandbox, and a real gateway around them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from django.conf import settings

import paid_once
from providers import sandbox

#: The faulty upstream of the data plane's tests, the scripted ones of the SDKs' and of embeddings', files elsewhere.
pytest_plugins = (
    *("tests.faults.fixtures", "tests.faults.redis_server", "tests.sdk_fixtures"),
    *("tests.embedding_upstreams", "tests.image_workers", "tests.elsewhere", "tests.workers"),
)


def pytest_configure(config: pytest.Config) -> None:
    """SQLite tests use a file, so that threads and processes see the same database. Passwords are hashed cheaply here:
    each sign-in of the real processes that tests start takes the half second that it should.
    """
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    paid_once.install()
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database.setdefault("TEST", {})["NAME"] = str(settings.HOME.root / "test.sqlite3")
    else:  # no test pulls the plug of the server, so none need wait for its disk
        database["OPTIONS"].setdefault("options", "-c synchronous_commit=off")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: as the last ones they kept one worker busy when the other had ended long ago."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """The collector of garbage need not look again and again at what stays: the modules and the tests, a fifth of the
    whole run's time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def ring() -> Any:
    """The ring of this test process, made as the first start makes it."""
    from keys import ring as ring_module

    settings.HOME.prepare()
    if not settings.RING_FILE.exists():
        ring_module.create(settings.RING_FILE)
    return ring_module.current()


@dataclass
class World:
    """Builders of configuration rows, each with the smallest working defaults. Writes go through the ORM, so each makes
    a revision and reaches the gateway as an operator's save would."""

    rows: dict[str, Any] = field(default_factory=dict)

    def provider(self, slug: str = "up", **values: Any) -> Any:
        from providers.models import Provider

        given = {"name": slug, "family": "openai-completions", "credential": "bearer", **values}
        return Provider.objects.get_or_create(slug=slug, defaults=given)[0]

    def account(
        self, name: str = "up", base_url: str = "https://up.example/v1", *, keys: tuple[str, ...] = (), **values: Any
    ) -> Any:
        """An account at provider `up` unless told, its keys in its shared key set."""
        from providers.models import Account

        provider = values.pop("provider", None) or self.provider()
        row = Account.objects.create(name=name, provider=provider, base_url=base_url, **values)
        if keys:
            self.keys(row, *keys)
        return row

    def keys(self, account: Any, *plaintexts: str, project: Any = None, name: str = "default") -> Any:
        """Sealed keys in a key set of the account: the shared one, or a project's own."""
        from keys.models import KeySet
        from keys.vault import enter_key
        from providers.secrets import Secret

        key_set, _ = KeySet.objects.get_or_create(account=account, project=project, name=name)
        for plaintext in plaintexts:
            enter_key(key_set, Secret(plaintext))
        return key_set

    def model(self, name: str, *routes: tuple[Any, str] | tuple[Any, str, dict[str, Any]], **values: Any) -> Any:
        """A public model with routes (account, upstream model[, fields]); priorities count up unless given."""
        from routing.models import PublicModel, Route

        row = PublicModel.objects.create(name=name, **values)
        for number, (account, upstream, *more) in enumerate(routes):
            fields = {"priority": number, **(more[0] if more else {})}
            Route.objects.create(model=row, account=account, upstream_model=upstream, **fields)
        return row

    def project(self, name: str = "demo", allow: list[str] | None = None, **preference: Any) -> Any:
        from keys.models import Project
        from routing.models import Preference

        row, _ = Project.objects.get_or_create(name=name)
        values = {"allow": ["*"] if allow is None else allow, **preference}
        Preference.objects.update_or_create(project=row, defaults=values)
        return row

    def token(self, project: Any = None, **values: Any) -> str:
        """The plaintext of a new token; of the project `demo`, open to every model, unless told."""
        from keys.tokens import issue

        return issue(project or self.project(), **values)[1]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    """Builders in the test's database. A test that also uses `gateway` gets a database that threads can see."""
    request.getfixturevalue("transactional_db" if "gateway" in request.fixturenames else "db")
    return World()


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Any:
    """A home of its own, for the copy of the configuration on disk; other processes' saves are looked for often."""
    from project.home import Home

    settings.HOME = Home(tmp_path)
    settings.POLL_INTERVAL = 0.05
    return settings.HOME


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves that no gateway could serve are let through, as raw SQL would bring them in."""
    monkeypatch.setattr("routing.revisions.problems", lambda changes: [])


class PromptServer(uvicorn.Server):
    """uvicorn's server, which stops when it is told to: its own looks ten times a second, and thrice on the way out."""

    async def startup(self, sockets: Any = None) -> None:
        self.loop, self.told = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.told.wait(), 0.1)

    def tell(self) -> None:
        """To stop, from another thread."""
        self.should_exit = True
        with contextlib.suppress(RuntimeError):  # it has ended already
            self.loop.call_soon_threadsafe(self.told.set)

    async def shutdown(self, sockets: Any = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        end = time.monotonic() + float(self.config.timeout_graceful_shutdown or 0)
        while (self.server_state.connections or self.server_state.tasks) and time.monotonic() < end:
            await asyncio.sleep(0.005)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()


@dataclass
class Served:
    """A server in a thread of its own."""

    server: PromptServer
    thread: threading.Thread

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.tell()
        self.thread.join(10)
        assert not self.thread.is_alive(), "the server did not stop"


def serve(application: Any, **options: Any) -> Served:
    """Run an ASGI application on an ephemeral loopback port, in a thread, until `.stop()`."""
    options = {
        "lifespan": "off",
        "access_log": False,
        "log_config": None,
        "ws": "none",
        "timeout_graceful_shutdown": 2,
        **options,
    }
    server = PromptServer(uvicorn.Config(application, host="127.0.0.1", port=0, **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive() and time.monotonic() < end, "the server did not start"
        time.sleep(0.01)
    return Served(server, thread)


@pytest.fixture(scope="session")
def sandbox_upstream() -> Iterator[str]:
    """The base URL of a running sandbox, `/v1` included. Its keys are `providers.sandbox.KEYS`."""
    served = serve(sandbox.application, timeout_graceful_shutdown=1)
    yield f"{served.url}/v1"
    served.stop()


@pytest.fixture
def gateway(transactional_db: None, rested: None) -> Iterator[Served]:
    """The whole application as it is served: uvicorn, uvloop, the guarded protocol, the real transport."""
    from api.protocol import GuardedProtocol
    from project.asgi import application

    served = serve(application, lifespan="on", http=GuardedProtocol, loop="uvloop")
    yield served
    served.stop()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`eventually(check)`: the first true value of `check()`, asked often. The limit is for what never comes true."""

    def wait(check: Callable[[], Any], seconds: float = 30.0) -> Any:
        end = time.monotonic() + seconds
        while True:
            value = check()
            if value:
                return value
            assert time.monotonic() < end, f"not true within {seconds} s"
            time.sleep(0.01)

    return wait
