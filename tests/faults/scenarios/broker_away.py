"""R-REL-17: Celery's broker is away, and its tasks run twice: requests and their rows know nothing of it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from installation import ROOT, free_port
from tests.faults.checker import told
from tests.faults.ledger import audit
from tests.faults.load import load
from tests.faults.premises import Premises, premises
from tests.faults.proxy import BlackHole, Down, Proxy
from tests.faults.rows import Row, Scale


def r_rel_17_broker_away(scale: Scale, seed: int) -> Row:
    """In the short form there never was a broker: the tasks are run, each twice, by hand."""
    seconds = 5.0 if scale == "long" else 0.5
    with premises(scale, seed) as here, _ports(here, scale, seed) as (ports, broker):
        with load(ports, here.token, rate=100.0, seed=seed) as made:
            made.phase(seconds)
            if broker is not None:
                for fault in (Down(), BlackHole()):
                    broker.fail(fault)
                    made.phase(seconds)
                    broker.heal()
                    made.phase(seconds / 2)
            ran = here.act("tasks_twice")
        found = audit(here, made.answers)
    failed = [answer for answer in made.answers if answer.status != 200 or not answer.whole]
    return Row(
        "Celery's broker refuses and hangs; each task runs twice"
        if scale == "long"
        else "no broker; each task runs twice",
        "R-REL-17",
        len(made.answers),
        len(made.answers) - len(failed),
        "0 failed, each request one row",
        f"{len(failed)} failed; {ran} tasks ran twice{told(found)}",
        not failed and not found and ran > 0,
    )


@contextlib.contextmanager
def _ports(here: Premises, scale: Scale, seed: int) -> Iterator[tuple[list[int], Proxy | None]]:
    """Where to ask, and the way to the broker: of a whole `manage.py run` with worker and beat, in the long form."""
    if scale == "short":
        yield here.gateways.ports, None
        return
    proxy, port = Proxy("127.0.0.1", here.redis.port, seed=seed), free_port()
    env = {**here.place.environment, "CELERY_BROKER_URL": f"redis://127.0.0.1:{proxy.port}/1"}
    command = [sys.executable, str(ROOT / "manage.py"), "run", "--port", str(port)]
    with (here.place.home / "run-celery.log").open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        here.gateways.wait(port)
        yield [port], proxy
    finally:
        proxy.heal()
        process.terminate()
        process.wait(60)
        proxy.stop()
