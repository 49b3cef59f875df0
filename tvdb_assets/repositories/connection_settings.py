"""What each connection sets, and what a server and a pooler must be like.

What belongs here: settings of a session that other statements rely on, whatever the role, the
database or the server has as default; and the check for a pooler that shares sessions. What does
not: connecting (`database`).

The settings are sent as a statement, because poolers refuse or ignore options at the start of a
connection.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import psycopg

_SETTINGS: Final = {
    # Values are read and written as text in one form.
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    "default_transaction_isolation": "read committed",
    # A session that only holds a lock is idle for the whole run, and migrations and the nightly
    # maintenance take their time.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
}
_SINCE_17: Final = {"transaction_timeout": "0"}
_VECTOR_SCHEMA: Final = (
    "coalesce((SELECT pg_catalog.quote_ident(n.nspname) || ', ' FROM pg_catalog.pg_extension e"
    " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'), '')"
    " || 'public'"
)
"""The schema in which an administrator has put pgvector need not be on the search path."""
_PROBES: Final = 3


def session_sql(server_version: int, search_path: str | None = None) -> str:
    """A statement that sets up a session.

    Args:
        server_version: as `server_version_num`.
        search_path: None means the schemas of pgvector.
    """
    values = _SETTINGS | (_SINCE_17 if server_version >= 170_000 else {})
    calls = [f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in values.items()]
    path = f"'{search_path}'" if search_path is not None else _VECTOR_SCHEMA
    return f"SELECT {', '.join(calls)}, pg_catalog.set_config('search_path', {path}, false)"


def set_up_session(connection: psycopg.Connection[Any]) -> None:
    """Set up a new connection; no transaction is left open."""
    with connection.transaction():
        connection.execute(session_sql(connection.info.server_version))


def shares_sessions(
    connection: psycopg.Connection[Any], connect: Callable[[], psycopg.Connection[Any]]
) -> bool:
    """Whether a pooler gives each transaction or statement a session that others use, too.

    Locks and settings of a session would then be lost, or be those of another process.

    Args:
        connection: in autocommit mode.
        connect: opens another connection of the same kind.
    """
    backend = _backend(connection)
    if backend == connection.info.backend_pid:
        return False  # no pooler is between
    with ExitStack() as others:
        for _ in range(_PROBES):
            other = others.enter_context(connect())
            other.autocommit = False
            try:
                other_backend = _backend(other)
                other.execute("SELECT 1")
            except psycopg.Error:
                return True  # a pooler of statements refuses a transaction
            # The other is in a transaction, so it keeps its session, which must not be this one's.
            if other_backend == backend or _backend(connection) != backend:
                return True
    return False


def _backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])
