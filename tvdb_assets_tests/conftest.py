"""What many tests stand on: a real server, and a database of its own for each test.

What belongs here: fixtures that several rooms of tests use. What does not: documents and
checks of one room.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tvdb_assets.settings import PREFIX
from tvdb_assets.storage.database import Database, prepare
from tvdb_assets.storage.embedded import EmbeddedPostgres

_TEMPLATE = "migrated"
_numbers = count(1)


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX) or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URL of the server that this test process has to itself; it stops with the process."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("server"))
    try:
        yield server.ensure_running()
    finally:
        server.stop()


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    """The URL of a new database that holds nothing, dropped after the test."""
    yield from _new_database(server_url, "template1")


@pytest.fixture
def database(server_url: str, _template: str) -> Iterator[Database]:
    """A new, migrated and empty database, dropped after the test."""
    for url in _new_database(server_url, _template):
        with Database(url) as made:
            yield made


@pytest.fixture(scope="session")
def _template(server_url: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    prepare(_named(server_url, _TEMPLATE))
    return _TEMPLATE


def _new_database(server_url: str, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield _named(server_url, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _named(url: str, database: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{database}"))
