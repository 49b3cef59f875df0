"""The exit code of ``dagster asset materialize`` and ``dg launch`` if documents wait for a budget.

What belongs here: the end of these commands. What does not: the end of a run (`run_events`), or the
exit codes of `tvdb`.

Dagster's commands only have success and failure. A budget halt is neither: the run succeeds,
because there is no error, but a script must notice that nothing was materialized. Dagster's command
lines use click. So the context of the command gets a resource that raises an error of click when it
is closed. The error carries the code, and all exit handlers of Dagster and Python run.
"""

from __future__ import annotations

from types import TracebackType
from typing import IO, Any

import click
import psycopg

from tvdb_assets.core.message_counts import counted
from tvdb_assets.lifecycle import DocumentStatus
from tvdb_assets.repositories.connection_url import libpq_url

_COMMANDS = (("asset", "materialize"), ("dg", "launch"))
"""The commands that materialize assets in their own process, each with its group."""
DOCUMENTS_WAIT = 3
"""Exit code of a command whose documents wait for a budget, the same as in `tvdb ingest`."""


class DocumentsWait(click.ClickException):
    """Ends the command with a message that explains why the documents wait and what to do."""

    exit_code = DOCUMENTS_WAIT

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message without the prefix of an error."""
        click.echo(f"\n{self.message}", file=file, err=True)


def note_waiting_documents(url: str, run_id: str) -> None:
    """Set the exit code of the command that executes this run, if the run deferred documents.

    In other processes this does nothing.

    Args:
        url: URL of the database, in the form of SQLAlchemy.
        run_id: id of a run that succeeded.
    """
    command = _materialize_command()
    if command is None:
        return
    with psycopg.connect(libpq_url(url)) as connection:
        row = connection.execute(
            "SELECT count(*), min(error_message), min(error_remedy) FROM tvdb.documents"
            " WHERE status = %s AND run_id = %s",
            (DocumentStatus.DEFERRED.value, run_id),
        ).fetchone()
    if row is not None and row[0]:
        waiting = counted(row[0], "document waits", "documents wait")
        command.with_resource(_WaitingDocuments(f"{waiting}. {row[1]} {row[2]}"))


def is_materialize_command() -> bool:
    """Whether this thread executes ``dagster asset materialize`` or ``dg launch``."""
    return _materialize_command() is not None


def _materialize_command() -> click.Context | None:
    """The context of the command that materializes assets, if this thread executes one."""
    command = click.get_current_context(silent=True)
    if command is None or command.parent is None:
        return None
    return command if (command.parent.info_name, command.info_name) in _COMMANDS else None


class _WaitingDocuments:
    """A resource of the command that sets the exit code when the command closes it."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        # A command that failed keeps its own error.
        if kind is None:
            raise DocumentsWait(self._message)
