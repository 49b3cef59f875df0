"""Databases as hosting providers and administrators set them up: each works, or has its own code.

What belongs here: defaults of roles and databases, rights, and poolers. What does not: versions
(`test_database`), or forms of the URL (`test_connection_url`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import socket
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from tvdb_assets.cli import tvdb
from tvdb_assets.errors import StorageError
from tvdb_assets.repositories.database import Database, instance_url, prepare
from tvdb_assets.repositories.retention import Retention
from tvdb_assets.settings import load_settings

ROLE, PASSWORD = "tvdb_plain", "correct-horse-battery"
ODD_DEFAULTS = {
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "'iso_8601'",
    "timezone": "'Asia/Kolkata'",
    "bytea_output": "'escape'",
    "standard_conforming_strings": "off",
    "search_path": "nowhere",
    "default_transaction_isolation": "'serializable'",
    "statement_timeout": "'50ms'",
    "lock_timeout": "'10ms'",
    "idle_session_timeout": "'50ms'",
}


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def admin(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def with_netloc(url: str, netloc: str) -> str:
    return urlunsplit(urlsplit(url)._replace(netloc=netloc))


def check_works(url: str) -> None:
    """Store and read a time, an interval, bytes and a vector, through a new pool."""
    with Database.open(load_settings(database_url=url)) as database:
        with database.transaction() as tx:
            tx.execute(
                "INSERT INTO tvdb.documents (partition_key, source, path, size, etag, sha256,"
                " run_id) VALUES ('a', '/s', 'a', 1, %s, %s, 'r')",
                (r"back\slash", b"\x00\\\xff"),
            )
        with database.transaction() as tx:
            row = tx.execute(
                "SELECT etag, sha256, registered_at <= now(), interval '1 day 2 hours',"
                " '[1,2]'::vector <=> '[1,2]' FROM tvdb.documents"
            ).fetchone()
            assert row is not None
            assert (row[0], row[1], row[2]) == (r"back\slash", b"\x00\\\xff", True)
            assert (row[3].total_seconds(), row[4]) == (26 * 3600, 0.0)
        with database.session() as session:
            session.execute("SELECT pg_sleep(0.1)")
    engine = create_engine(instance_url(load_settings(database_url=url)))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT current_schema()")) == "dagster"
        assert connection.scalar(text("SELECT now()")).utcoffset().total_seconds() == 0
    engine.dispose()


def test_defaults_of_the_database_change_nothing(empty_url: str) -> None:
    admin(
        empty_url,
        *(
            f"ALTER DATABASE {name_of(empty_url)} SET {name} = {value}"
            for name, value in ODD_DEFAULTS.items()
        ),
    )
    check_works(empty_url)


def test_pgvector_may_be_in_a_schema_that_is_not_on_the_search_path(empty_url: str) -> None:
    admin(
        empty_url,
        'CREATE SCHEMA "Odd Extensions"',
        'CREATE EXTENSION vector SCHEMA "Odd Extensions"',
    )
    check_works(empty_url)


@pytest.fixture
def role(server_url: str, empty_url: str) -> Iterator[str]:
    """The URL of a role that may do nothing but connect."""
    admin(empty_url, "CREATE EXTENSION vector", f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    try:
        host = urlsplit(empty_url).netloc.rpartition("@")[2]
        yield with_netloc(empty_url, f"{ROLE}:{PASSWORD}@{host}")
    finally:
        admin(empty_url, f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")


def test_a_role_without_create_works_in_schemas_that_an_administrator_made(
    role: str, empty_url: str
) -> None:
    with pytest.raises(StorageError) as caught:
        prepare(role)
    assert caught.value.code == "database_privileges"
    admin(
        empty_url, *(f"CREATE SCHEMA {name} AUTHORIZATION {ROLE}" for name in ("tvdb", "dagster"))
    )
    check_works(role)


def test_a_role_that_may_create_nothing_works_after_migrate_has_made_it_the_owner(
    role: str, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", empty_url)
    assert CliRunner().invoke(tvdb, ["migrate", "--owner", ROLE]).exit_code == 0
    check_works(role)
    with Database.open(load_settings(database_url=role)) as database:
        Retention(database).refresh()


def test_a_role_of_few_connections_is_told_so(role: str, empty_url: str) -> None:
    admin(empty_url, f"ALTER ROLE {ROLE} CONNECTION LIMIT 1")
    with psycopg.connect(role), pytest.raises(StorageError) as caught:
        prepare(role)
    assert caught.value.code == "database_full"
    assert PASSWORD not in str(caught.value)


def test_a_database_that_can_not_store_all_characters_is_refused(server_url: str) -> None:
    admin(
        server_url,
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    )
    try:
        with pytest.raises(StorageError) as caught:
            prepare(urlunsplit(urlsplit(server_url)._replace(path="/latin")))
        assert caught.value.code == "database_encoding"
        assert "LATIN1" in caught.value.message
    finally:
        admin(server_url, "DROP DATABASE latin WITH (FORCE)")


@contextmanager
def pooler(url: str, folder: Path, mode: str) -> Iterator[str]:
    """PgBouncer in front of the server; the URL of the database through it."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    if not Path(program).exists():
        pytest.skip("PgBouncer is not installed")
    parts = urlsplit(url)
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port} user={parts.username}"
        f" password={parts.password}\n"
        f"[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\nauth_type=any\n"
        f"pool_mode={mode}\nunix_socket_dir=\nlog_connections=0\nlog_disconnections=0\n"
    )
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    folder.chmod(0o755)
    process = subprocess.Popen(
        [program, *user, str(folder / "pgbouncer.ini")], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "process up" in line:
                break
        yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
    finally:
        process.terminate()
        process.communicate()


def test_a_pooler_of_sessions_works(empty_url: str, tmp_path: Path) -> None:
    with pooler(empty_url, tmp_path, "session") as url:
        check_works(url)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions_is_refused_at_once(
    empty_url: str, tmp_path: Path, mode: str
) -> None:
    with pooler(empty_url, tmp_path, mode) as url, pytest.raises(StorageError) as caught:
        prepare(url)
    assert caught.value.code == "database_pooled"
    assert "pool_mode = session" in caught.value.remedy
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT to_regnamespace('tvdb')").fetchone() == (None,)
