"""R-REL-03: TLS that cannot be trusted, and a handshake that never ends."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trustme

from tests.faults.checker import told
from tests.faults.clients import Question, ask_all, markers
from tests.faults.documents import account, model
from tests.faults.lab import lab
from tests.faults.rows import ROOM, Row, Scale
from tests.faults.truth import Truth
from tests.faults.upstream import Upstream

#: Seconds.
WITHIN = 5.0
HOST = "localhost"


def r_rel_03_untrusted_tls(scale: Scale, seed: int) -> Row:
    """The gateway trusts an authority of the scenario's; an upstream with its certificate serves."""
    rounds = 2 if scale == "short" else 20
    with lab(scale, seed) as here, _stalls() as port:
        upstreams = {
            kind: Upstream(tls=context, truth=Truth(here.upstream.log, seed, 1_000_000 * number))
            for number, (kind, context) in enumerate(_contexts(here.authority).items(), 1)
        }
        ports = {**{kind: upstream.port for kind, upstream in upstreams.items()}, "stall": port}
        connect = 0.5 if scale == "short" else WITHIN - 0.5
        tokens = here.apply(
            "".join(
                account(f"tls-{kind}", f"https://{HOST}:{port}", connect=connect)
                + model(f"tls-{kind}", (f"tls-{kind}", "says"))
                for kind, port in ports.items()
            ),
            "tls",
        )
        marker = markers("tls")
        asked = [(kind, Question(f"tls-{kind}", marker(), "tls")) for _ in range(rounds) for kind in ports]
        answers = ask_all(here.url, tokens, [question for _, question in asked], at_once=2 * len(ports))
        wrong = here.check(answers, "tls")
        reached = {kind: len(upstream.requests) for kind, upstream in upstreams.items()}
        for upstream in upstreams.values():
            upstream.stop()
    ends = {answer.marker: (answer.end, answer.code) for answer in answers}
    wanted = {"good": ("whole", ""), "stall": ("error", "upstream_tls_timeout")}
    bad = Counter(
        (kind, ends[question.marker])
        for kind, question in asked
        if ends[question.marker] != wanted.get(kind, ("error", "upstream_tls"))
    )
    sent = sum(count for kind, count in reached.items() if kind != "good")
    slowest = max(answer.seconds for answer in answers)
    good = len(asked) - bad.total()
    return Row(
        "TLS: expired, wrong name, self-signed, unknown authority, a handshake that stalls",
        "R-REL-03",
        len(asked),
        good,
        f"refused within {WITHIN:.0f} s with codes of their own, nothing sent; a good certificate serves",
        f"{good} so, {sent} requests sent, at most {slowest:.2f} s"
        + (f"; others: {dict(bad)}" if bad else "")
        + told(wrong),
        not bad and sent == 0 and reached["good"] == rounds and slowest <= WITHIN * ROOM[scale] and not wrong,
    )


def _contexts(authority: trustme.CA) -> dict[str, ssl.SSLContext]:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    stranger = trustme.CA()
    certs = {
        "good": authority.issue_cert(HOST),
        "expired": authority.issue_cert(HOST, not_before=past, not_after=past + datetime.timedelta(days=1)),
        "other-name": authority.issue_cert("other.example"),
        "unknown": stranger.issue_cert(HOST),
    }
    contexts = {kind: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for kind in (*certs, "self-signed")}
    for kind, cert in certs.items():
        cert.configure_cert(contexts[kind])
    with tempfile.NamedTemporaryFile() as file:
        file.write(stranger.private_key_pem.bytes() + stranger.cert_pem.bytes())
        file.flush()
        contexts["self-signed"].load_cert_chain(file.name)
    return contexts


@contextmanager
def _stalls() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    loop = asyncio.new_event_loop()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(hold, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    server.close()
