"""Redaction of errors that leave a run, a request or a command.

What belongs here: redaction of foreign errors, and the run id of our own errors. What does not: the
error classes (`errors`) and codes (`error_codes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import run_scope
from tvdb_assets.errors import TvdbError, causes_of, link
from tvdb_assets.redaction import RedactedCause

_LOST_STATES = ("08", "53", "57")
"""Classes of SQLSTATE: connection, insufficient resources, operator intervention."""


@contextmanager
def redacting_errors(run_id: str | None = None) -> Iterator[None]:
    """Redact every error that leaves the block, and set its id.

    The causes of a `TvdbError` are reduced to the names of their classes. Any other exception
    becomes a `TvdbError` whose cause names the class and the lines of code. Its code says what
    is wrong with the database, or is ``unexpected``.

    Args:
        run_id: the id that identifies the errors; None keeps their own id.
    """
    try:
        yield
    except TvdbError as error:
        error.run_id = run_id or error.run_id
        link(error, [_redacted(cause) for cause in causes_of(error)])
        error.__suppress_context__ = True
        raise
    except Exception as error:
        ours = _database_error(error) or codes.UNEXPECTED.error(kind=type(error).__name__)
        ours.run_id = run_id or ours.run_id
        raise ours from RedactedCause.with_lines(error)


@contextmanager
def tagging_errors(run_id: str) -> Iterator[None]:
    """Run the block with a run id, and set it on every `TvdbError` that has no id."""
    with run_scope(run_id):
        try:
            yield
        except TvdbError as error:
            error.run_id = error.run_id or run_id
            raise


def _database_error(error: Exception) -> TvdbError | None:
    """The error for a lost connection or refused changes; None for other exceptions."""
    # Imported here, because only a process with an error needs it.
    from psycopg import Error, OperationalError
    from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction

    kind = type(error).__name__
    if isinstance(error, ReadOnlySqlTransaction):
        return codes.DATABASE_READ_ONLY.error(kind=kind)
    if isinstance(error, InsufficientPrivilege):
        return codes.DATABASE_RIGHTS.error(kind=kind)
    state = error.sqlstate if isinstance(error, Error) else None
    if isinstance(error, OperationalError) and (state is None or state[:2] in _LOST_STATES):
        return codes.DATABASE_LOST.error(kind=kind)
    return None


def _redacted(cause: BaseException) -> BaseException:
    return cause if isinstance(cause, TvdbError | RedactedCause) else RedactedCause.of(cause)
