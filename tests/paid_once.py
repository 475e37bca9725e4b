"""What a test process pays once and each test would pay anew, with nothing else changed by it.

Installed by `conftest`. The real processes that tests start know nothing of it.
"""

from __future__ import annotations

import functools
from typing import Any

import httpx
from django.db import connections
from django.db.transaction import atomic
from django.test import TransactionTestCase
from whitenoise.middleware import WhiteNoiseMiddleware


def install() -> None:
    _authorities_are_read_once()
    _static_files_are_listed_once()
    TransactionTestCase._fixture_teardown = _empty  # type: ignore[method-assign]  # the hook that flushes


def _authorities_are_read_once() -> None:
    """20 ms for each client of httpx and each SDK, though nearly all speak to loopback without TLS."""
    clients: Any = httpx._transports.default
    clients.create_ssl_context = functools.cache(clients.create_ssl_context)


def _static_files_are_listed_once() -> None:
    """80 ms for each browser of `django.test`, whose first request makes the middleware."""
    listed: dict[str, Any] = {}
    listing = WhiteNoiseMiddleware.add_files_from_finders

    def once(self: WhiteNoiseMiddleware) -> None:
        if not listed:
            listing(self)
            listed.update(self.files)
        self.files.update(listed)

    WhiteNoiseMiddleware.add_files_from_finders = once


#: What every migrate writes, and so every flush: the types, their permissions, the roles.
_WRITTEN_BY_MIGRATE = ("django_content_type", "auth_permission", "auth_group", "auth_group_permissions")
_flush = TransactionTestCase._fixture_teardown
#: database -> the rows of those tables behind the first flush
_flushed: dict[str, list[Any]] = {}


def _empty(case: TransactionTestCase) -> None:
    """Empty the tables as a flush does. Where the tables that a flush writes again still hold what it writes, they
    stay, and of the others only those are touched that hold something: 3 ms instead of 60."""
    if case.available_apps is not None or case.serialized_rollback:
        _flush(case)
        return
    names = case._databases_names(include_mirrors=False)
    if all(name in _flushed and _written(name) == _flushed[name] for name in names):
        for name in names:
            _delete(name)
    else:
        _flush(case)
        _flushed.update({name: _written(name) for name in names})


def _written(name: str) -> list[Any]:
    with connections[name].cursor() as cursor:
        found = []
        for table in _WRITTEN_BY_MIGRATE:
            cursor.execute(f"SELECT * FROM {table}")
            found.append(sorted(cursor.fetchall()))
    return found


@functools.cache
def _others(name: str) -> list[str]:
    tables = connections[name].introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(tables) - set(_WRITTEN_BY_MIGRATE))


def _delete(name: str) -> None:
    """In any order: that every reference leads somewhere is looked at when the transaction ends."""
    ask = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in _others(name))
    with atomic(using=name), connections[name].cursor() as cursor:
        cursor.execute(ask)
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {table}")
