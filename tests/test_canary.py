"""T-CANARY: a unique canary stands for each secret; everything anybody can see is searched for all of them.

Searched for: five characters in a row of any canary, plain and in six encodings. Searched in: the log at DEBUG, answers
of `/v1` (also of an upstream that repeats the key it was sent), every admin page and /manage/ resource for every role,
metrics, commands, every table, every file of the home but the ring itself, the broker, and `repr` of all there is.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from io import StringIO
from typing import Any

import ahocorasick
import httpx
import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.urls import NoReverseMatch, reverse

from api.tasks import drain_journal
from conftest import Served, World, serve
from keys import importing
from keys.models import ApiToken, ProviderKey
from keys.ring import current
from people import ROLES, client
from providers import sandbox
from providers.config import ConfigRow
from providers.secrets import Secret
from routing.store import store

#: No five characters of these stand anywhere by chance: each five hold a sign that base64, hex and words lack.
CANARIES = {
    "shared key": "sk-!Qz7~Xw9^Kv3!Jp5~Tg2^Hb8!Wd4~",
    "second key": "sk-^Vn6!Rm1~Zc8^Fx3!Ls7~Yk2^Bt9!",
    "own key of a project": "pk~Dq5!Gw2^Nh7~Cj4!Uf9^Pz1~Xm6!Ke3^",
    "imported key": "gsk!Wb3^Tq8~Lx5!Vd1^Zn7~Rf4!Hk9^",
    "live key": "liv^Mj2~Ps6!Bg9^Qc4~Yw7!Dx1^Nt8~",
    "password": "Ab!Xk5~Wq9^Zt3!Gm7~Rv2^Lp8!",
}
WINDOW = 5
#: For secrets that cannot be chosen and whose alphabet is that of words: fewer would be found by chance.
WIDE_WINDOW = 9


def encodings(text: str) -> Iterator[bytes]:
    """The text as it could have got somewhere: plain, hex, percent signs, JSON, UTF-16, backwards."""
    raw = text.encode()
    yield raw
    yield raw.hex().encode()
    yield "".join(f"%{byte:02X}" for byte in raw).encode()
    yield "".join(f"\\u{ord(char):04x}" for char in text).encode()
    yield text.encode("utf-16-le")
    yield text[::-1].encode()


def in_base64(text: str, width: int) -> Iterator[bytes]:
    """Pieces of the text's base64 that do not depend on what stands around it, for each of the three alignments."""
    for lead in range(3):
        whole = base64.b64encode(b"\0" * lead + text.encode()).rstrip(b"=")
        inner = whole[4 if lead else 0 : -4]
        size = max(width * 4 // 3 + 2, 10)
        yield from (inner[start : start + size] for start in range(len(inner) - size + 1))


def needles(text: str, width: int) -> set[bytes]:
    pieces = {text[start : start + width] for start in range(len(text) - width + 1)}
    found = {form for piece in pieces for form in encodings(piece)}
    return found | set(in_base64(text, width))


class Sinks:
    """Everything that came out: each line once, with the first place where it came out."""

    def __init__(self) -> None:
        self.places: set[str] = set()
        self.lines: dict[bytes, str] = {}

    def add(self, where: str, what: str | bytes) -> None:
        self.places.add(where)
        for line in (what.encode() if isinstance(what, str) else what).split(b"\n"):
            self.lines.setdefault(line, where)

    def answer(self, where: str, answer: Any) -> None:
        headers = answer.headers.items() if isinstance(answer, httpx.Response) else answer.items()
        content = answer.content if not getattr(answer, "streaming", False) else b"".join(answer.streaming_content)
        self.add(where, repr(list(headers)).encode() + content)

    def hits(self, wanted: dict[bytes, str]) -> list[str]:
        """Where something of `wanted` (piece of a secret -> the secret's name) stands: all are looked for at once."""
        search = ahocorasick.Automaton()
        for needle, name in wanted.items():
            search.add_word(needle.decode("latin-1"), (name, needle))
        search.make_automaton()
        return [
            f"{name} in {where}: {needle!r}"
            for line, where in self.lines.items()
            for _, (name, needle) in search.iter(line.decode("latin-1"))
        ]


async def parrot(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An upstream that repeats the key it was sent, in the way its model name asks for."""
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    asked = json.loads(body + message["body"])
    if asked["model"] == "good":
        await sandbox.reply(send, 200, sandbox.completion(asked))
        return
    heard = dict(scope["headers"]).get(b"authorization", b"").decode()
    key = heard.removeprefix("Bearer ")
    repeated = f"bad key {key}, that is {base64.b64encode(key.encode()).decode()} or {key.encode().hex()}"
    error = json.dumps({"error": {"message": repeated, "type": "invalid_request_error", "code": repeated}}).encode()
    status = {"says-400": 400, "says-401": 401, "says-429": 429, "says-500": 500}.get(asked["model"], 200)
    headers = [(b"content-type", b"application/json"), (b"x-request-id", key.encode()), (b"set-cookie", key.encode())]
    if asked.get("stream") and status == 200:
        headers[0] = (b"content-type", b"text/event-stream")
        error = b"data: " + error + b"\n\n"
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": error})


def use_v1(sinks: Sinks, gateway: Served, token: str, admin: str) -> None:
    """Requests that succeed, requests that fail in every place where a secret is at hand."""
    say = [{"role": "user", "content": "hello"}]
    models = (
        "good",
        "says-400",
        "says-401",
        "says-429",
        "says-500",
        "says-200",
        "imported",
        "live",
        "keyless",
        "nothing",
    )
    with httpx.Client(base_url=gateway.url) as http:
        for model in models:
            for stream in (False, True):
                ask = {"model": model, "messages": say, "stream": stream}
                answer = http.post("/v1/chat/completions", json=ask, headers={"authorization": f"Bearer {token}"})
                sinks.answer(f"/v1 {model} stream={stream}", answer)
                if model == "good" and not stream:
                    assert answer.status_code == 200, answer.text
        carrier = {"x-api-key": token, "content-type": "application/json"}
        wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
        for headers in (
            {"authorization": f"Bearer {wrong}"},
            {"x-api-key": token, "api-key": wrong},
            {"cookie": token},
        ):
            sinks.answer("/v1 refused", http.get("/v1/models", headers=headers))
        sinks.answer("/v1 key in the query", http.get(f"/v1/models?key={token}"))
        sinks.answer("/v1 broken body", http.post("/v1/chat/completions", content=token, headers=carrier))
        sinks.answer("/v1 wrong path", http.get("/v1/nothing", headers={"x-api-key": token}))
        for path in ("/v1/models", "/v1/models/good", "/healthz", "/readyz", "/metrics"):
            sinks.answer(path, http.get(path, headers={"authorization": f"Bearer {token}"}))
        anonymous = http.get("/metrics")
        named = http.get("/metrics", headers={"authorization": f"Bearer {admin}"})
        assert 'model="' not in anonymous.text and 'model="good"' in named.text, "the admin's page has names on it"
        for path in ("/healthz", "/readyz", "/metrics"):
            sinks.answer(f"{path} as anonymous", http.get(path))
            sinks.answer(f"{path} as admin", http.get(path, headers={"authorization": f"Bearer {admin}"}))


def use_pages(sinks: Sinks) -> None:
    """Every admin page that a GET reaches, and every resource of /manage/, for every role."""
    for role in (*ROLES, "outsider", "anonymous"):
        browser = client(role)
        paths = ["/", "/admin/", "/admin/login/", "/manage/"]
        for model in apps.get_models():
            label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            if model._meta.app_label not in {"providers", "keys", "routing", "api", "auth"}:
                continue
            try:
                paths.append(reverse(f"{label}_changelist"))
            except NoReverseMatch:
                continue
            for row in model._default_manager.all()[: 6 if model._meta.app_label == "keys" else 2]:
                paths += [reverse(f"{label}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
            paths.append(reverse(f"{label}_add"))
        names = ("models", "accounts", "projects", "revisions", "usage", "processes", "explain/?model=good")
        paths += [f"/manage/{name}/".replace("/?", "?").replace("good/", "good") for name in names]
        for path in paths:
            sinks.answer(f"{path} as {role}", browser.get(path, follow=role in ROLES))  # others are sent to the login
        sinks.answer(f"login as {role}", browser.post("/admin/login/", {"username": "boss", "password": "wrong"}))


def use_commands(sinks: Sinks) -> None:
    for line in (
        ["export_config"],
        ["explain", "good"],
        ["explain", "good", "--json"],
        ["doctor"],
        ["rotate_ring", "--status"],
    ):
        out = StringIO()
        with contextlib.suppress(SystemExit):  # doctor's way to say that something is to be mended
            call_command(*line, stdout=out, stderr=out)
        sinks.add(f"manage.py {' '.join(line)}", out.getvalue())


def look_at_rows(sinks: Sinks) -> None:
    """Every table as SQL gives it, and every row as Python shows it."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                for value in row:
                    sinks.add(f"table {table}", bytes(value) if isinstance(value, bytes | memoryview) else str(value))
    for model in apps.get_models():
        if issubclass(model, ConfigRow):
            sinks.add(f"repr of {model.__name__}", "\n".join(f"{row!r} {row}" for row in model.objects.all()))
    sinks.add("repr of the snapshot", repr(store.current))
    sinks.add("repr of the ring", f"{current()!r} {current()}")


def look_at_files(sinks: Sinks) -> None:
    for path in settings.HOME.root.rglob("*"):
        if path.is_file() and path not in (settings.RING_FILE, settings.HOME.root / "secret_key"):
            sinks.add(f"file {path.relative_to(settings.HOME.root)}", path.read_bytes())


def look_at_redis(sinks: Sinks) -> None:
    if not settings.REDIS_URL:
        return
    import redis

    with redis.Redis.from_url(settings.REDIS_URL) as server:
        for name in server.scan_iter(count=1000):
            kind = server.type(name)
            read = {b"string": server.get, b"hash": server.hgetall, b"set": server.smembers}.get(kind)
            value = read(name) if read else server.zrange(name, 0, -1, withscores=True) if kind == b"zset" else b""
            sinks.add(f"redis {name!r}", name + repr(value).encode())


@pytest.fixture
def planted(world: World) -> Iterator[str]:
    """A configuration in which every kind of secret is a canary; yields a token."""
    upstream = serve(parrot)
    url = f"http://127.0.0.1:{upstream.port}/v1"
    demo = world.project("demo")
    shared = world.account("shared", url, private_network=True, keys=(CANARIES["shared key"], CANARIES["second key"]))
    own = world.account("own", url, private_network=True)
    world.keys(own, CANARIES["own key of a project"], project=demo)
    groq = world.provider("groq", env_keys=["GROQ_API_KEY"], env_prefix="GROQ", base_url=url)
    imported = world.account("groq", url, provider=groq, private_network=True)
    mistral = world.provider("mistral", env_keys=["MISTRAL_API_KEY"], env_prefix="MISTRAL", base_url=url)
    live = world.account("mistral", url, provider=mistral, private_network=True)
    empty = world.account("empty", url, private_network=True)
    report = importing.import_keys(
        {"GROQ_API_KEY": CANARIES["imported key"], "JACKFIELD_LIVE_MISTRAL_KEY": CANARIES["live key"]},
        rebind=True,
    )
    assert report.names == {"GROQ_API_KEY", "JACKFIELD_LIVE_MISTRAL_KEY"}
    for name in ("says-400", "says-401", "says-429", "says-500", "says-200"):
        world.model(name, (shared, name), (own, name))
    world.model("good", (imported, "good"))
    world.model("imported", (imported, "says-401"))
    world.model("live", (live, "says-400"))
    world.model("keyless", (empty, "x"))
    User.objects.create_user("boss", password=CANARIES["password"], is_staff=True, is_superuser=True)
    yield world.token(demo)
    upstream.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_x06_no_secret_is_to_be_seen_anywhere(
    gateway: Served,
    world: World,
    planted: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    eventually: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("django.db.backends", "asyncio", "aiohttp", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    for name in ("httpx", "httpcore"):  # this test's own client tells what it asks for; the gateway has none of it
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sinks = Sinks()
    eventually(lambda: "good" in store.current.models and len(store.current.tokens) > 0)
    admin = world.token(kind="a")
    eventually(lambda: len(store.current.tokens) == 2)
    use_v1(sinks, gateway, planted, admin)
    use_pages(sinks)
    use_commands(sinks)
    drain_journal()
    if not settings.CELERY_BROKER_URL:
        drain_journal.delay()
    prints = [row.fingerprint.encode() for row in ProviderKey.objects.all()]
    everything = b"\n".join(sinks.lines)
    assert all(shown in everything for shown in prints), "the pages of the keys were not seen"
    look_at_rows(sinks)
    look_at_files(sinks)
    look_at_redis(sinks)
    sinks.add("log", caplog.text)
    printed = capfd.readouterr()
    sinks.add("standard output", printed.out + printed.err)
    assert len(sinks.places) > 300

    # The last four of a key are shown: they are no finding, and no more so behind a byte that is such a sign by chance.
    hidden = {name: text if name == "password" else text[:-2] for name, text in CANARIES.items()}
    wanted = {needle: name for name, text in hidden.items() for needle in needles(text, WINDOW)}
    for token in (planted, admin):
        wanted |= dict.fromkeys(needles(token[:-4], WIDE_WINDOW), "token")
    document = json.loads(settings.RING_FILE.read_text())
    for secret in (document["root"]["secret"], *(key["secret"] for key in document["keys"])):
        wanted |= dict.fromkeys(needles(secret, WIDE_WINDOW), "ring")
        raw = base64.b64decode(secret)
        wanted |= {raw[start : start + WIDE_WINDOW]: "ring" for start in range(len(raw) - WIDE_WINDOW + 1)}
    wanted |= dict.fromkeys(needles(settings.SECRET_KEY, WIDE_WINDOW), "SECRET_KEY")
    hits = sinks.hits(wanted)
    assert {row.last_four for row in ApiToken.objects.all()} == {planted[-4:], admin[-4:]}
    assert not hits, "\n".join(sorted(hits))


def test_the_search_finds_what_is_there() -> None:
    """A search that finds nothing must be able to find something."""
    secret = CANARIES["shared key"]
    for hidden in (
        secret.encode(),
        secret[8:14].encode(),
        base64.b64encode(b"x" + secret.encode() + b"tail"),
        base64.b64encode(b"xy" + secret.encode() + b"tail"),
        secret.encode().hex().encode(),
        json.dumps(secret).encode(),
        secret.encode("utf-16-le"),
    ):
        sinks = Sinks()
        sinks.add("somewhere", b"before " + hidden + b" after")
        assert sinks.hits(dict.fromkeys(needles(secret, WINDOW), "shared key")), hidden


def test_a_secret_in_a_traceback_stays_a_secret() -> None:
    secret = Secret(CANARIES["shared key"])
    try:
        raise ValueError(f"cannot use {secret} or {secret!r}")
    except ValueError:
        shown = traceback.format_exc()
    sinks = Sinks()
    sinks.add("traceback", shown)
    assert sinks.hits(dict.fromkeys(needles(CANARIES["shared key"], WINDOW), "shared key")) == []
    with pytest.raises(TypeError):
        pickle.dumps(secret)
