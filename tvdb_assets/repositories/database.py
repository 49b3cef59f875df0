"""Connections to the database: its URL, the checks of the server, and the migration of the schema.

What belongs here: everything that a process does before its first statement. What does not:
statements on tables (the other modules of this package, `retrieval`, `spend_guard`).
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import psycopg
from pgvector.psycopg import register_vector
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from tvdb_assets import error_codes as codes
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.redaction import register_secret, set_path_salt
from tvdb_assets.repositories.migrations import HEAD, upgrade
from tvdb_assets.settings import Settings

T = TypeVar("T")
Connection: TypeAlias = psycopg.Connection[Any]
"""A connection that statements are executed on."""
MIN_SERVER = 140_000
"""Postgres 14, as `server_version_num`; tested on 16 and 18."""
MIN_PGVECTOR = (0, 8, 0)
"""halfvec came with 0.7, iterative index scans (filtered search that fills its k) with 0.8."""
_CONNECT_SECONDS = 10
_PASSWORDS = frozenset({"password", "sslpassword", "scram_client_key", "oauth_client_secret"})
"""Options of libpq whose values are secrets."""
KEEPALIVE_SECONDS = 60
"""Firewalls between clouds drop an idle connection after 4 minutes or more."""


def project_home(settings: Settings) -> Path:
    """The folder of the Dagster instance and the embedded server.

    This is ``DAGSTER_HOME``, or ``.tvdb`` in the project. The project is the nearest parent folder
    that contains a ``dagster.yaml``, or else the working folder.
    """
    if settings.dagster_home is not None:
        return settings.dagster_home.expanduser().absolute()
    here = Path.cwd()
    clone = Path(__file__).parents[2]
    for folder in (here, *here.parents, clone):
        if (folder / "dagster.yaml").is_file():
            return folder / ".tvdb"
    return here / ".tvdb"


def database_url(settings: Settings) -> str:
    """The URL to connect to; starts the embedded server if it is configured and not running.

    Raises:
        StorageError: the embedded server can't be started.
    """
    if settings.database_url is not None:
        return _without_driver(settings.database_url.get_secret_value())
    return EmbeddedPostgres(project_home(settings)).ensure_running()


def without_password(url: str) -> str:
    """The URL of a database without its passwords, for people and programs that have their own.

    Raises:
        ConfigurationError: this is no URL of a Postgres database.
    """
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The cause would repeat a part of the URL, which may be the password.
        raise codes.DATABASE_URL_INVALID.error() from None
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise codes.DATABASE_URL_INVALID.error()
    login, at, host = parts.netloc.rpartition("@")
    query = "&".join(
        option
        for option in parts.query.split("&")
        if unquote(option.partition("=")[0]) not in _PASSWORDS
    )
    return urlunsplit(parts._replace(netloc=login.partition(":")[0] + at + host, query=query))


def instance_url(settings: Settings) -> str:
    """The URL for Dagster's own storage: the same database, in the schema ``dagster``.

    The URL names the driver: SQLAlchemy uses psycopg 3 for a plain ``postgresql://``, which
    dagster-postgres does not support.
    """
    parts = urlsplit(database_url(settings))
    query = [(k, v) for k, v in parse_qsl(parts.query) if k != "options"]
    query.append(("options", "-csearch_path=dagster"))
    return urlunsplit(
        ("postgresql+psycopg2", parts.netloc, parts.path, urlencode(query, quote_via=quote), "")
    )


class Database:
    """A checked and migrated database with a small pool of connections.

    Create one per process; connections are opened when first used. Values of type ``vector`` are
    read as `pgvector.Vector`.
    """

    def __init__(self, url: str, *, max_connections: int = 16) -> None:
        """Nothing is opened yet."""
        self.url = url
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=max_connections,
            open=False,
            timeout=_CONNECT_SECONDS,
            # After this time the next caller connects at once, however long the server was away.
            reconnect_timeout=_CONNECT_SECONDS,
            check=check_connection,
            kwargs={
                "connect_timeout": _CONNECT_SECONDS,
                # A session that only holds a lock is idle for the whole run.
                "keepalives_idle": KEEPALIVE_SECONDS,
                "application_name": "tvdb",
            },
            configure=register_vector,
        )
        self._is_open = False

    @classmethod
    def open(cls, settings: Settings) -> Database:
        """Connect, check versions, and migrate if necessary.

        Raises:
            StorageError: the server is not reachable, is too old or has no pgvector, or the schema
                is newer than this code.
        """
        database = cls(database_url(settings))
        prepare(database.url)
        return database

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """A connection in a transaction; commits at the end, rolls back on an error."""
        with self._connection() as connection, connection.transaction():
            yield connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run work in a transaction, and retry it once on a new connection if the first is lost.

        Args:
            work: must have the same effect if it is repeated after a commit whose outcome is
                unknown.

        Raises:
            psycopg.Error: `work` raised it, or the second connection was lost too.
        """
        try:
            with self.transaction() as tx:
                return work(tx)
        except psycopg.Error as error:
            if not is_connection_lost(error) or isinstance(error, PoolTimeout):
                raise
        with self.transaction() as tx:
            return work(tx)

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection]:
        """A connection in autocommit mode, for session locks."""
        with self._connection() as connection:
            connection.autocommit = True
            try:
                yield connection
            finally:
                connection.autocommit = False

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        if not self._is_open:
            self._pool.open()
            self._is_open = True
        with self._pool.connection() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections; the server continues to run."""
        self._pool.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def check_connection(connection: Connection) -> None:
    """Check a connection of the pool before it is used.

    When the server or its operating system closes a connection, there is data to read. An idle
    connection never has any. Polling takes a microsecond. A statement takes 30 to 60 on the same
    machine, and a network round trip elsewhere. So a statement is only sent if there is data.

    Raises:
        psycopg.Error: the connection is lost.
    """
    if connection.closed:
        raise psycopg.OperationalError("the connection is closed")
    readable = select.poll()
    readable.register(connection.fileno(), select.POLLIN)
    if readable.poll(0):
        ConnectionPool.check_connection(connection)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the same work may succeed on a new connection, now or after the server restarts.

    Also true for a transaction that the server ended: a deadlock, a time limit, a full disk.
    """
    if isinstance(error, PoolClosed):
        return False
    return isinstance(
        error,
        (
            psycopg.OperationalError,
            # After a failover, a connection may lead to the former primary for a while.
            psycopg.errors.ReadOnlySqlTransaction,
            psycopg.errors.IdleInTransactionSessionTimeout,
        ),
    )


def prepare(url: str) -> None:
    """Check the server and migrate its schemas to the version of this code.

    Raises:
        StorageError: see `Database.open`.
    """
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS)
    except psycopg.ProgrammingError:
        # The cause would repeat a part of the URL, which may be the password.
        raise codes.DATABASE_URL_INVALID.error() from None
    except psycopg.OperationalError as error:
        raise codes.DATABASE_UNREACHABLE.error(
            where=_location(url), why=_first_line(error)
        ) from error
    with connection:
        version = connection.info.server_version
        if version < MIN_SERVER:
            raise codes.POSTGRES_TOO_OLD.error(
                where=_location(url), version=version // 10_000, needed=MIN_SERVER // 10_000
            )
        if _schema_version(connection) != HEAD:
            _check_pgvector(connection, url)
            _migrate(url)
        row = connection.execute("SELECT salt FROM tvdb.installation").fetchone()
    register_secret(unquote(urlsplit(url).password or ""))
    set_path_salt(row[0] if row else b"")


def _migrate(url: str) -> None:
    try:
        upgrade(url)
    except psycopg.errors.InsufficientPrivilege as error:
        raise codes.DATABASE_PRIVILEGES.error(
            where=_location(url), why=_first_line(error)
        ) from error


def _schema_version(connection: psycopg.Connection) -> str | None:
    if connection.execute("SELECT to_regclass('tvdb.alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM tvdb.alembic_version").fetchone()
    return row[0] if row else None


def _check_pgvector(connection: psycopg.Connection, url: str) -> None:
    needed = ".".join(map(str, MIN_PGVECTOR))
    row = connection.execute(
        "SELECT installed_version, default_version FROM pg_available_extensions"
        " WHERE name = 'vector'"
    ).fetchone()
    if row is None:
        raise codes.PGVECTOR_MISSING.error(where=_location(url), needed=needed)
    installed, available = row
    if _version(available) < MIN_PGVECTOR:
        raise codes.PGVECTOR_TOO_OLD.error(where=_location(url), version=available, needed=needed)
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if installed is not None and _version(installed) < MIN_PGVECTOR:
            connection.execute("ALTER EXTENSION vector UPDATE")
    except psycopg.errors.InsufficientPrivilege as error:
        raise codes.PGVECTOR_NOT_ENABLED.error(where=_location(url)) from error


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _without_driver(url: str) -> str:
    """The URL without the driver name of SQLAlchemy, which libpq refuses."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


def _location(url: str) -> str:
    """Host, port and database, without user and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{host}{parts.path}"


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
