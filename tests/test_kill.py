"""Fifty SIGKILLs under load: no usage row lost, none doubled (R-REL-19), proved against two independent histories.

The client's log says which answers arrived whole; the upstream's truth log says what it was asked and served. Rows are
drained by a process that is killed too, and the database is away for a part of the run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from installation import Installation, free_port, installation
from test_database_down import Database
from test_propagation import DOCUMENT, truth

__all__ = ["truth"]

KILLS = int(os.environ.get("JACKFIELD_TEST_KILLS", "50"))
ROWS = """
import json
from api.models import UsageRecord as U
columns = ("request_id", "outcome", "input_tokens", "output_tokens", "project", "account")
print(json.dumps(list(U.objects.values(*columns))))
"""


class Gateways:
    """Two gateways that are killed and replaced on their ports."""

    def __init__(self, place: Installation) -> None:
        self.ports = [free_port(), free_port()]
        self.zygote = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=place.environment,
            cwd=place.home,
        )
        self.pids = [self.start(port) for port in self.ports]

    def start(self, port: int) -> int:
        assert self.zygote.stdin and self.zygote.stdout
        self.zygote.stdin.write(f"{port}\n")
        self.zygote.stdin.flush()
        pid = int(self.zygote.stdout.readline())
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == 200:
                    return pid
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError("a forked gateway did not get ready")

    def kill(self, which: int) -> None:
        os.kill(self.pids[which], signal.SIGKILL)
        self.pids[which] = self.start(self.ports[which])

    def close(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        self.zygote.kill()
        self.zygote.wait()


class Load:
    """Clients that keep asking and note the id of every answer that arrived whole."""

    def __init__(self, ports: list[int], token: str) -> None:
        self.ports, self.headers = ports, {"authorization": f"Bearer {token}"}
        self.whole: set[str] = set()
        self.broken = 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(seed,)) for seed in range(6)]
        for thread in self.threads:
            thread.start()

    def run(self, seed: int) -> None:
        dice = random.Random(seed)
        with httpx.Client(timeout=10) as client:
            while not self.stop.is_set():
                url = f"http://127.0.0.1:{dice.choice(self.ports)}/v1/chat/completions"
                stream = dice.random() < 0.5
                body = {"model": "patched", "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
                try:
                    answer = client.post(url, json=body, headers=self.headers)
                except httpx.TransportError:
                    self.broken += 1
                    time.sleep(0.01)
                    continue
                if answer.status_code == 200 and (not stream or "[DONE]" in answer.text):
                    self.whole.add(answer.headers["x-jackfield-request-id"])

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(20)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_r_rel_19_no_usage_row_is_lost_or_doubled_over_fifty_kills(tmp_path: Path, truth: tuple[int, Path]) -> None:
    dice = random.Random(19)
    database = Database(tmp_path / "home")
    with installation(tmp_path / "home", TRUTH_KEY="sk-truth-0123456789", **database.env) as place:
        place.apply(DOCUMENT.format(port=truth[0]))
        token = place.token()
        asked_before = len(truth[1].read_text().splitlines()) if truth[1].exists() else 0
        drainer = [sys.executable, str(Path(__file__).parent.parent / "manage.py"), "drain", "--forever"]
        gateways = Gateways(place)
        load = Load(gateways.ports, token)
        try:
            running = subprocess.Popen(drainer, env=place.environment, stderr=subprocess.DEVNULL)
            for kill in range(KILLS):
                time.sleep(dice.uniform(0.05, 0.3))
                gateways.kill(kill % 2)
                if kill % 10 == 9:
                    running.kill()
                    running.wait()
                    running = subprocess.Popen(drainer, env=place.environment, stderr=subprocess.DEVNULL)
                if kill == KILLS // 3:
                    database.stop()
                if kill == KILLS // 2:
                    database.start()
            load.end()
        finally:
            load.end()
            gateways.close()
            running.kill()
            running.wait()
        place.manage("drain", "--once")
        rows = json.loads(place.manage("shell", "-v", "0", "-c", ROWS))
    database.close()

    by_id = {row["request_id"]: row for row in rows}
    assert len(by_id) == len(rows), "no row is doubled"
    lost = load.whole - set(by_id)
    assert not lost, f"{len(lost)} of {len(load.whole)} answered requests have no row"
    truth_lines = [line.split(" ") for line in truth[1].read_text().splitlines()[asked_before:]]
    asked = {request_id for request_id, what in truth_lines if what == "asked"}
    unbooked = asked - set(by_id)
    assert not unbooked, f"{len(unbooked)} of {len(asked)} requests that the upstream saw have no row"
    for request_id in load.whole:
        row = by_id[request_id]
        assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == ("ok", 7, 3), row
    invented = {i for i, row in by_id.items() if row["outcome"] == "ok"} - asked
    assert not invented, "no row without a request that the upstream saw"
    assert len(load.whole) > 250, "the load was real"
