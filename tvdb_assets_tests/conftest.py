"""Shared fixtures: a real database server, and a separate database for each test.

What belongs here: fixtures that several test packages use. What does not: documents and checks of
one package.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import stamina

from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.parsing import paid_parsing
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.settings import PREFIX
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

_TEMPLATE = "migrated"
_numbers = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full",
        action="store_true",
        help="run tests with races and killed processes at full size, which takes minutes",
    )


def pytest_configure() -> None:
    # Without written bytecode, each process that a test starts would compile the package again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The tests of whole runs first: they take longest. Without ``--full``, none of that marker."""
    if not config.getoption("--full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]
    items.sort(key=lambda item: "integration" not in item.path.parts)


@pytest.fixture(scope="session")
def is_full(pytestconfig: pytest.Config) -> bool:
    """Whether tests with races and killed processes run at full size."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture(autouse=True)
def _remove_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX) or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _record_of_allowed_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the database server of this test process; it stops with the process."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("server"))
    try:
        yield server.ensure_running()
    finally:
        server.stop()


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    """URL of a new database without tables, dropped after the test."""
    yield from _new_database(server_url, "template1")


@pytest.fixture
def database(server_url: str, _template: str) -> Iterator[Database]:
    """A new, migrated and empty database, dropped after the test."""
    for url in _new_database(server_url, _template):
        with Database(url) as database:
            yield database


@pytest.fixture(scope="module")
def shared_database(server_url: str, _template: str) -> Iterator[Database]:
    """As `database`, but one for all tests of a module; each test uses its own rows."""
    for url in _new_database(server_url, _template):
        with Database(url) as database:
            yield database


@pytest.fixture(scope="session")
def session_database(server_url: str, _template: str) -> Iterator[Database]:
    """As `database`, but one for all tests of this process; its tests only read it."""
    for url in _new_database(server_url, _template):
        with Database(url) as database:
            yield database


@pytest.fixture(scope="session")
def _template(server_url: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    prepare(_url_of(server_url, _TEMPLATE))
    return _TEMPLATE


def _new_database(server_url: str, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield _url_of(server_url, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _url_of(url: str, database: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{database}"))


@pytest.fixture(scope="session")
def paid_workers() -> Iterator[WorkerPool]:
    """Parser processes that tests of paid ingestions share, because each takes time to start."""
    pool = WorkerPool(workers=1, timeout_seconds=60, memory_mib=1_024, tasks_per_worker=1_000)
    yield pool
    pool.close()


@pytest.fixture
def paid(
    database: Database, paid_workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PaidServicesFixture]:
    """Routers that call simulated paid APIs; retries don't wait."""
    monkeypatch.setattr(paid_parsing, "_LIST_DELAY_SECONDS", 0.0)
    with stamina.set_testing(True, attempts=20, cap=True):
        yield PaidServicesFixture(database, paid_workers)


@pytest.fixture(scope="module")
def _shared(server_url: str, _template: str) -> Iterator[Database]:
    for url in _new_database(server_url, _template):
        with Database(url) as database:
            yield database


@pytest.fixture
def paid_in_shared(
    _shared: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PaidServicesFixture]:
    """As ``paid``, in a database that the tests of a module share, without worker processes.

    The guard's tables are emptied before each test. Tests must not store documents in it.
    """
    monkeypatch.setattr(paid_parsing, "_LIST_DELAY_SECONDS", 0.0)
    with _shared.transaction() as tx:
        tx.execute(
            "TRUNCATE tvdb.cost_ledger, tvdb.budget_windows, tvdb.service_states, tvdb.parse_jobs"
        )
    with stamina.set_testing(True, attempts=20, cap=True):
        yield PaidServicesFixture(_shared)


@pytest.fixture
def folder(paid: PaidServicesFixture, tmp_path: Path) -> DocumentFolder:
    """An empty folder of documents that a test ingests with paid services."""
    return DocumentFolder(paid, tmp_path)
