"""Opening a database: migration from any revision, errors with a reason, and no secrets in them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from time import monotonic
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tvdb_assets.errors import ConfigurationError, StorageError
from tvdb_assets.repositories import migrations
from tvdb_assets.repositories.database import Database, instance_url, prepare
from tvdb_assets.repositories.migrations import HEAD, upgrade
from tvdb_assets.settings import load_settings

PASSWORD = "correct-horse-battery"


def _revisions() -> list[str]:
    """All revisions, the oldest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    return [script.revision for script in scripts][::-1]


def _schema(url: str) -> list[tuple[object, ...]]:
    """Each column, index, constraint and view of the schema, with its definition."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT 'column', table_name || '.' || column_name, data_type || is_nullable"
            " || coalesce(column_default, '') FROM information_schema.columns"
            " WHERE table_schema = 'tvdb'"
            " UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes"
            " WHERE schemaname = 'tvdb'"
            " UNION ALL SELECT 'view', viewname, definition FROM pg_views"
            " WHERE schemaname = 'tvdb'"
            " UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE connamespace = 'tvdb'::regnamespace"
            " ORDER BY 1, 2, 3"
        ).fetchall()


def _version(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version_num FROM tvdb.alembic_version").fetchone()
    assert row is not None
    return str(row[0])


def test_head_is_the_newest_revision() -> None:
    assert _revisions()[-1] == HEAD


def test_an_empty_database_is_migrated(empty_url: str) -> None:
    prepare(empty_url)

    assert _version(empty_url) == HEAD
    with psycopg.connect(empty_url) as connection:
        names = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname IN ('tvdb', 'dagster') ORDER BY 1"
        ).fetchall()
        assert names == [("dagster",), ("tvdb",)]
        assert connection.execute("SELECT count(*) FROM tvdb.search_index").fetchone() == (0,)


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    prepare(empty_url)
    once = _schema(empty_url)

    prepare(empty_url)
    upgrade(empty_url)

    assert once
    assert _schema(empty_url) == once


# The way from each of the others to the newest is the end of the way from the first.
_QUICK_REVISIONS = {_revisions()[0], *_revisions()[-2:]}


@pytest.mark.parametrize(
    "revision",
    [
        pytest.param(name, marks=[] if name in _QUICK_REVISIONS else [pytest.mark.full])
        for name in _revisions()
    ],
)
def test_every_earlier_revision_is_upgraded(
    empty_url: str, database: Database, revision: str
) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    upgrade(empty_url, revision)
    assert _version(empty_url) == revision

    prepare(empty_url)

    assert _version(empty_url) == HEAD
    assert _schema(empty_url) == _schema(database.url)


def test_a_migration_keeps_the_documents(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.documents (partition_key, source, path, size, etag, run_id)"
            " VALUES ('a.md', '/documents', 'a.md', 1, 'e', 'r')"
        )

    prepare(database.url)

    with database.transaction() as tx:
        assert tx.execute("SELECT path FROM tvdb.documents").fetchall() == [("a.md",)]


def test_a_schema_of_a_newer_version_is_refused(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute("UPDATE tvdb.alembic_version SET version_num = '9999'")

    with pytest.raises(StorageError) as caught:
        prepare(database.url)

    assert caught.value.code == "database_too_new"
    assert "Update" in caught.value.remedy
    assert _version(database.url) == "9999"


def _with_password(url: str, **parts: str) -> str:
    """The URL with a wrong password, and other parts as given."""
    split = urlsplit(url)
    host = parts.pop("host", split.netloc.rpartition("@")[2])
    return urlunsplit(split._replace(netloc=f"tvdb:{PASSWORD}@{host}", **parts))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"host": "127.0.0.1:1"}, id="nothing listens"),
        pytest.param({"host": "no-such-host.invalid"}, id="no such host"),
        pytest.param({}, id="wrong password"),
    ],
)
def test_the_error_of_an_unusable_server_has_no_password(
    server_url: str, change: dict[str, str]
) -> None:
    with pytest.raises(StorageError) as caught:
        Database.open(load_settings(database_url=_with_password(server_url, **change)))

    error = caught.value
    assert error.code == "database_unreachable"
    assert str(urlsplit(_with_password(server_url, **change)).hostname) in error.message
    assert "TVDB_DATABASE_URL" in error.remedy
    assert PASSWORD not in str(error)
    assert PASSWORD not in repr(error)


@pytest.mark.parametrize(
    "url",
    [
        PASSWORD,
        f"mysql://tvdb:{PASSWORD}@127.0.0.1/tvdb",
        f"postgresql://tvdb:{PASSWORD}@127.0.0.1/tvdb?no_such_option=1",
    ],
)
def test_the_error_of_an_invalid_url_has_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        prepare(url)

    assert caught.value.code == "database_url_invalid"
    assert caught.value.__cause__ is None
    assert PASSWORD not in str(caught.value)


def test_a_missing_database_is_named(server_url: str) -> None:
    url = urlunsplit(urlsplit(server_url)._replace(path="/nowhere"))

    with pytest.raises(StorageError, match="nowhere") as caught:
        prepare(url)

    assert caught.value.code == "database_unreachable"
    assert str(urlsplit(url).password) not in str(caught.value)


def test_the_error_of_missing_privileges_names_them(server_url: str, empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    try:
        split = urlsplit(empty_url)
        host = split.netloc.rpartition("@")[2]
        with pytest.raises(StorageError) as caught:
            prepare(urlunsplit(split._replace(netloc=f"plain:{PASSWORD}@{host}")))
        assert caught.value.code == "database_privileges"
        assert "CREATE" in caught.value.remedy
        assert PASSWORD not in str(caught.value)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute("DROP ROLE plain")


def test_an_error_rolls_the_transaction_back(database: Database) -> None:
    with pytest.raises(RuntimeError, match="midway"), database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.documents (partition_key, source, path, size, etag, run_id)"
            " VALUES ('a.md', '/documents', 'a.md', 1, 'e', 'r')"
        )
        raise RuntimeError("midway")

    with database.transaction() as tx:
        assert tx.execute("SELECT count(*) FROM tvdb.documents").fetchone() == (0,)


def test_dagster_uses_the_same_database_and_its_own_schema(database: Database) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(instance_url(load_settings(database_url=database.url)))
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT current_database(), current_schema()")).one()
    finally:
        engine.dispose()

    assert tuple(found) == (urlsplit(database.url).path.removeprefix("/"), "dagster")


def test_the_error_of_an_old_pgvector_names_the_version_to_install(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Requiring a newer version makes the version of the server too old.
    monkeypatch.setattr("tvdb_assets.repositories.server_checks.MIN_PGVECTOR", (99, 1, 0))

    with pytest.raises(StorageError) as caught:
        prepare(empty_url)

    assert caught.value.code == "pgvector_too_old"
    assert "99.1.0" in caught.value.remedy
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT to_regnamespace('tvdb')").fetchone() == (None,)


def test_a_pool_whose_connections_all_broke_serves_the_next_caller_at_once(
    database: Database,
) -> None:
    with ThreadPoolExecutor(8) as callers:
        barrier = Barrier(8)

        def use(_: int) -> None:
            with database.transaction():
                barrier.wait(10)

        list(callers.map(use, range(8)))
    with psycopg.connect(database.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    started = monotonic()
    for _ in range(9):
        with database.transaction() as tx:
            tx.execute("SELECT 1")
    # The pool itself would wait for 1, 2, 4 ... seconds between two connections.
    assert monotonic() - started < 5
