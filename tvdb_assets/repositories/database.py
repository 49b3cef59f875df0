"""Connections to the database: its URL, pools, and the migration of the schema.

What belongs here: everything that a process does before its first statement. What does not:
whether the server can hold the index (`server_checks`), or statements on tables (the other modules
of this package, `retrieval`, `spend_guard`).
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeAlias, TypeVar

import psycopg
from pgvector.psycopg import register_vector
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from tvdb_assets import error_codes as codes
from tvdb_assets import working_folder
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.redaction import register_secret, set_path_salt
from tvdb_assets.repositories import server_checks
from tvdb_assets.repositories.connection_settings import session_sql
from tvdb_assets.repositories.connection_url import libpq_url, password_of, sqlalchemy_url
from tvdb_assets.repositories.engine_plugin import register_plugin
from tvdb_assets.repositories.leases import Leases, delete_leases
from tvdb_assets.repositories.migrations import HEAD, upgrade
from tvdb_assets.settings import Settings

T = TypeVar("T")
Connection: TypeAlias = psycopg.Connection[Any]
"""A connection that statements are executed on."""
_CONNECT_SECONDS = 10
_DRAIN_SECONDS = 1.0
"""At least so long between two replacements of all idle connections."""
_ENDS_CONNECTION = frozenset({"FATAL", "PANIC"})
"""Severities of an error after which the server closes the connection."""
_PROGRAM_LIMIT = "54"
"""Class of the SQLSTATE of what a server can't do at all; psycopg counts it as operational."""
_REPEAT_AFTER_SECONDS = (0.0, 0.05, 0.2, 0.5)
"""Until a transaction whose connection was lost is repeated."""
KEEPALIVE_SECONDS = 60
"""Firewalls between clouds drop an idle connection after 4 minutes or more."""
_CLIENT_OPTIONS: dict[str, Any] = {
    # A session that only holds a lock is idle for the whole run.
    "keepalives_idle": KEEPALIVE_SECONDS,
    # With these, a server that vanished is noticed within 90 s of silence ...
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # ... and within 30 s if data is on the way to it, rather than after a quarter of an hour. A
    # network that loses packets delivers within seconds.
    "tcp_user_timeout": 30_000,
}
_SERVER_OPTIONS = (
    # As above, for a client that vanished: otherwise its locks are held for two hours.
    ("tcp_keepalives_idle", KEEPALIVE_SECONDS),
    ("tcp_keepalives_interval", 10),
    ("tcp_keepalives_count", 3),
    ("tcp_user_timeout", 30_000),
    # A process that was stopped in a transaction holds the day's budget, for which all others
    # wait. A transaction computes for milliseconds between its statements. What is paid for is
    # stored by another transaction, when the process continues.
    ("idle_in_transaction_session_timeout", 30_000),
)


def project_home(settings: Settings) -> Path:
    """The folder of the Dagster instance and the embedded server.

    This is ``DAGSTER_HOME``, or ``.tvdb`` in the project. The project is the nearest parent folder
    that contains a ``dagster.yaml``, or else the working folder.

    Raises:
        ConfigurationError: ``folder_not_allowed``.
    """
    home = named_home(settings)
    if not settings.home_is_trusted:
        working_folder.check_home(home)
    return home


def claim_home(settings: Settings) -> Path:
    """The folder of `project_home`, created if it does not exist, and known as this user's own.

    Raises:
        ConfigurationError: ``folder_not_allowed``.
    """
    home = named_home(settings)
    if not settings.home_is_trusted:
        working_folder.claim_home(home)
    return home


def named_home(settings: Settings) -> Path:
    """The folder of `project_home`, without a check."""
    if settings.dagster_home is not None:
        return settings.dagster_home.expanduser().absolute()
    here = Path.cwd()
    clone = Path(__file__).parents[2]
    for folder in (here, *here.parents, clone):
        if (folder / "dagster.yaml").is_file():
            return folder / working_folder.PROJECT_HOME
    return here / working_folder.PROJECT_HOME


def database_url(settings: Settings) -> str:
    """The URL to connect to; starts the embedded server if it is configured and not running.

    Raises:
        ConfigurationError: ``folder_not_allowed``.
        StorageError: the embedded server can't be started.
    """
    if settings.database_url is not None:
        return libpq_url(settings.database_url.get_secret_value())
    return EmbeddedPostgres(claim_home(settings)).ensure_running()


def instance_url(settings: Settings) -> str:
    """The URL for Dagster's own storage: the same database, in the schema ``dagster``.

    The URL names the driver: SQLAlchemy uses psycopg 3 for a plain ``postgresql://``, which
    dagster-postgres does not support. It names a plugin, too, which sets the schema: an option at
    the start of a connection is refused or ignored by poolers.
    """
    return sqlalchemy_url(database_url(settings), "psycopg2", plugin=register_plugin())


class Database:
    """A checked and migrated database with a small pool of connections.

    Create one per process; connections are opened when first used. Values of type ``vector`` are
    read as `pgvector.Vector`.
    """

    def __init__(self, url: str, *, max_connections: int = 16, is_read_only: bool = False) -> None:
        """Nothing is opened yet.

        Args:
            url: of the database.
            max_connections: size of the pool.
            is_read_only: begin each transaction as read only, so that no statement can write.
        """
        self.url = url
        self.leases = Leases(url)
        """Of the claims that this process holds."""
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=max_connections,
            open=False,
            timeout=_CONNECT_SECONDS,
            # After this time the next caller connects at once, however long the server was away.
            reconnect_timeout=_CONNECT_SECONDS,
            check=self._check,
            kwargs={
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": "tvdb",
                **_CLIENT_OPTIONS,
            },
            configure=_configure_reading if is_read_only else configure_connection,
        )
        self._is_open = False
        self._drained_at = -_DRAIN_SECONDS

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

    @contextmanager
    def snapshot(self) -> Iterator[psycopg.Connection]:
        """A connection in a transaction whose statements all see the same state of the database.

        Statements are sent without waiting for the answers to those before, so that several need
        one round trip: execute all of them, then fetch the first. A text with several statements
        is refused.
        """
        with self._connection() as connection, connection.pipeline(), connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run work in a transaction, and repeat it on a new connection if its own is lost.

        What breaks one connection breaks many, one after the other: the next one may break too.

        Args:
            work: must have the same effect if it is repeated after a commit whose outcome is
                unknown.

        Raises:
            psycopg.Error: `work` raised it, the server can't be reached, or every connection was
                lost.
        """
        for wait in _REPEAT_AFTER_SECONDS:
            try:
                with self.transaction() as tx:
                    return work(tx)
            except psycopg.Error as error:
                if not is_connection_lost(error) or isinstance(error, PoolTimeout):
                    raise
            sleep(wait)
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
                if not connection.closed:
                    connection.autocommit = False

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        if not self._is_open:
            self._pool.open()
            self._is_open = True
        with self._pool.connection() as connection:
            yield connection

    def _check(self, connection: Connection) -> None:
        try:
            check_connection(connection)
        except psycopg.Error:
            # A restart breaks them all. The pool itself would check one after the other, and wait
            # between two of them, for longer each time, until the caller gives up.
            if (now := monotonic()) - self._drained_at >= _DRAIN_SECONDS:
                self._drained_at = now
                self._pool.drain()
            raise

    def end_claim(self, holder: int) -> None:
        """End the lease of a claim, if it has one; later, if the database can't be reached."""
        if self.leases.stop_renewing(holder):
            try:
                self.run(lambda tx: delete_leases(tx, [holder]))
            except psycopg.Error:
                self.leases.end_later(holder)

    def close(self) -> None:
        """Close the connections; the server continues to run."""
        self.leases.close()
        self._pool.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def configure_connection(connection: Connection) -> None:
    """Prepare a new connection: time limits of the server, and the type ``vector``."""
    _limit_waits(connection)
    connection.commit()
    register_vector(connection)


def connect(url: str) -> Connection:
    """A connection in autocommit mode outside of the pool, for a lock that is held for long."""
    connection = psycopg.connect(
        url, autocommit=True, connect_timeout=_CONNECT_SECONDS, **_CLIENT_OPTIONS
    )
    _limit_waits(connection)
    return connection


def _limit_waits(connection: Connection) -> None:
    connection.execute(session_sql(connection.info.server_version))
    names, values = zip(*_SERVER_OPTIONS, strict=True)
    connection.execute(
        "SELECT set_config(name, value, false)"
        " FROM unnest(%s::text[], %s::text[]) AS options(name, value)",
        (list(names), list(map(str, values))),
    )


def analyze_changed_tables(database: Database) -> None:
    """Update the planner's statistics of our tables of which a large part changed.

    The server does this too, but up to a minute after a load.
    """
    with database.session() as session:
        tables = session.execute(
            "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'tvdb'"
            " AND n_mod_since_analyze > 1000 + n_live_tup / 5"
        ).fetchall()
        for (table,) in tables:
            session.execute(f"ANALYZE tvdb.{table}")


def _configure_reading(connection: Connection) -> None:
    configure_connection(connection)
    connection.read_only = True


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

    Also true for a transaction that the server ended: a deadlock, a time limit, a full disk. A
    row that is too large for an index is too large on each connection.
    """
    if isinstance(error, PoolClosed) or not isinstance(error, psycopg.Error):
        return False
    if (error.sqlstate or "").startswith(_PROGRAM_LIMIT):
        return False
    if error.diag.severity_nonlocalized in _ENDS_CONNECTION:
        # Poolers, and servers in the cloud, have their own codes for this.
        return True
    if type(error) is psycopg.DatabaseError and error.sqlstate is None:
        return True  # The client library noticed it first, and has no code.
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
    with server_checks.checked_connection(url) as connection:
        if server_checks.schema_version(connection) != HEAD:
            server_checks.enable_pgvector(connection, url)
            _migrate(url)
            _fill_words(connection)
        row = connection.execute("SELECT salt FROM tvdb.installation").fetchone()
    register_secret(password_of(url))
    set_path_salt(row[0] if row else b"")


def _migrate(url: str) -> None:
    try:
        upgrade(url)
    except psycopg.errors.InsufficientPrivilege as error:
        raise codes.DATABASE_PRIVILEGES.error(
            where=server_checks.location(url), why=server_checks.first_line(error)
        ) from error


def _fill_words(connection: psycopg.Connection) -> None:
    """Store the words of chunks of a release that did not store them with the chunks.

    This takes a minute for 100,000 chunks. If it is interrupted, the next ingestion or maintenance
    completes it; until then, those chunks are found by their vectors only.
    """
    # Imported here, because few processes migrate, and the import takes a while.
    from tvdb_assets.repositories.word_store import fill_in

    is_filled = False
    while not is_filled:
        with connection.transaction():
            is_filled = fill_in(connection) == 0
