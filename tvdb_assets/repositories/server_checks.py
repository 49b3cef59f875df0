"""Whether a Postgres server can hold the index: version, encoding, pooler, pgvector, rights.

What belongs here: checks of a server that change nothing, and pgvector, which the first process
enables. What does not: the tables (`migrations`), or pools of connections (`database`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import psycopg

from tvdb_assets import error_codes as codes
from tvdb_assets.repositories.connection_settings import session_sql, shares_sessions

Connection: TypeAlias = psycopg.Connection[Any]
MIN_SERVER = 140_000
"""Postgres 14, as `server_version_num`; tested on 16 and 18."""
MIN_PGVECTOR = (0, 8, 0)
"""halfvec came with 0.7, iterative index scans (filtered search that fills its k) with 0.8."""
_CONNECT_SECONDS = 10
_NO_SLOT = re.compile(r"too many (clients|connections)|connection (slots|limit)|max_client")
"""In messages of servers and poolers that have no connection left; they come without a code."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server that can hold the index."""

    where: str
    """Host, port and database."""
    postgres: str
    pgvector: str
    """The version that is enabled, or that the first command enables."""
    schema: str | None
    """The revision of the tables; None before the first command creates them."""
    connections_left: int
    """How many more clients without special rights may connect."""


def inspect(url: str) -> ServerFacts:
    """Check a server and the rights of its user; nothing is changed.

    Raises:
        StorageError: see `Database.open`.
    """
    with checked_connection(url) as connection:
        installed, available = _pgvector(connection, url)
        schema = schema_version(connection)
        row = connection.execute(_FACTS).fetchone()
        assert row is not None
        may_create, is_read_only, postgres, left = row
        if is_read_only:
            raise codes.DATABASE_READ_ONLY.error(kind="ReadOnlySqlTransaction")
        if schema is None and not may_create:
            raise codes.DATABASE_PRIVILEGES.error(
                where=location(url), why="it lacks CREATE on the database"
            )
        return ServerFacts(location(url), postgres, installed or available, schema, left)


@contextmanager
def checked_connection(url: str) -> Iterator[Connection]:
    """A connection in autocommit mode to a server of a usable version and encoding.

    Raises:
        StorageError: the server can't be reached, is too old, has another encoding than UTF-8, or
            is behind a pooler that gives others the same session.
    """
    connection = _connect(url)
    with connection:
        version = connection.info.server_version
        connection.execute(session_sql(version))
        if version < MIN_SERVER:
            raise codes.POSTGRES_TOO_OLD.error(
                where=location(url), version=version // 10_000, needed=MIN_SERVER // 10_000
            )
        _check_encoding(connection, url)
        if shares_sessions(connection, partial(_connect, url)):
            raise codes.DATABASE_POOLED.error(where=location(url))
        yield connection


def _connect(url: str) -> Connection:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS)
    except psycopg.ProgrammingError:
        # The cause would repeat a part of the URL, which may be the password.
        raise codes.DATABASE_URL_INVALID.error() from None
    except psycopg.OperationalError as error:
        why = first_line(error)
        code = codes.DATABASE_FULL if _NO_SLOT.search(why) else codes.DATABASE_UNREACHABLE
        raise code.error(where=location(url), why=why) from error


def _check_encoding(connection: Connection, url: str) -> None:
    row = connection.execute("SELECT pg_catalog.current_setting('server_encoding')").fetchone()
    if row is not None and row[0] != "UTF8":
        raise codes.DATABASE_ENCODING.error(where=location(url), encoding=row[0])


def schema_version(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    if connection.execute("SELECT to_regclass('tvdb.alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM tvdb.alembic_version").fetchone()
    return row[0] if row else None


def _pgvector(connection: Connection, url: str) -> tuple[str | None, str]:
    """The versions of pgvector that are enabled and available."""
    needed = ".".join(map(str, MIN_PGVECTOR))
    row = connection.execute(
        "SELECT installed_version, default_version FROM pg_available_extensions"
        " WHERE name = 'vector'"
    ).fetchone()
    if row is None:
        raise codes.PGVECTOR_MISSING.error(where=location(url), needed=needed)
    installed, available = row
    if _version(available) < MIN_PGVECTOR:
        raise codes.PGVECTOR_TOO_OLD.error(where=location(url), version=available, needed=needed)
    return installed, available


def enable_pgvector(connection: Connection, url: str) -> None:
    """Enable or upgrade pgvector in the database.

    Raises:
        StorageError: it is missing or too old, or the user may not enable it.
    """
    installed, _ = _pgvector(connection, url)
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if installed is not None and _version(installed) < MIN_PGVECTOR:
            connection.execute("ALTER EXTENSION vector UPDATE")
    except psycopg.errors.InsufficientPrivilege as error:
        raise codes.PGVECTOR_NOT_ENABLED.error(where=location(url)) from error


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def location(url: str) -> str:
    """Host, port and database, without user and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{host}{parts.path}"


def first_line(error: psycopg.Error) -> str:
    """The message of the server, without its hints."""
    return str(error).strip().partition("\n")[0].rstrip(".")


# A standby server reports its transactions as read only.
_FACTS = """
SELECT has_database_privilege(current_database(), 'CREATE')
    OR coalesce(has_schema_privilege(to_regnamespace('tvdb'), 'CREATE')
      AND has_schema_privilege(to_regnamespace('dagster'), 'CREATE'), false),
  current_setting('transaction_read_only') = 'on', current_setting('server_version'),
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int
"""
