"""A database that takes a question and never answers holds no thread of ours for ever (R-REL-13)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError
from django.db.utils import load_backend

from routing.patience import answers_within
from tests.faults.databases import Postgres, binaries

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    pytest.importorskip("psycopg")
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    made = Postgres(tmp_path / "postgres")
    yield made
    made.close()


def connected(server: Postgres) -> Any:
    url = urlsplit(server.url)
    given = {"NAME": url.path[1:], "USER": url.username, "HOST": url.hostname, "PORT": url.port}
    more = {"PASSWORD": "", "OPTIONS": {}, "TIME_ZONE": None, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
    more |= {"AUTOCOMMIT": True, "ATOMIC_REQUESTS": False}
    return load_backend("django.db.backends.postgresql").DatabaseWrapper({**given, **more}, "own")


def asked(connection: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 7")
        return cursor.fetchone()[0]


def test_r_rel_13_a_connection_that_fell_silent_is_given_up_and_the_next_one_answers(server: Postgres) -> None:
    took: list[float] = []
    answers: list[int] = []

    def look() -> None:
        answers_within(0.3)
        connection = connected(server)
        answers.append(asked(connection))
        server.fail("hangs")
        began = time.monotonic()
        with pytest.raises(OperationalError):
            asked(connection)
        took.append(time.monotonic() - began)
        server.heal()
        connection.close()
        answers.append(asked(connection))
        connection.close()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(20)
    assert answers == [7, 7] and took[0] < 10


def test_only_the_thread_that_asked_for_it_is_limited(server: Postgres) -> None:
    connection = connected(server)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.5), 7")
        assert cursor.fetchone()[1] == 7
    connection.close()
