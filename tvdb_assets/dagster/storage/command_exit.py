"""The exit code of ``dagster asset materialize`` where documents wait for a budget.

What belongs here: how that command ends. What does not: how a run ends (`run_events`), or the
exit codes of `tvdb`.

Dagster's command knows success and failure only. A halt is neither: the run succeeds, because
nothing is wrong, but a script must see that nothing was materialized. Dagster's command line uses
click. So the context of the command gets a resource that raises an error of click when it is
closed. The error carries the code, and all exit handlers of Dagster and Python run.
"""

from __future__ import annotations

from types import TracebackType
from typing import IO, Any

import click
import psycopg

from tvdb_assets.core.message_counts import counted
from tvdb_assets.lifecycle import DocumentStatus

DOCUMENTS_WAIT = 3
"""The exit code of a run whose documents wait for a budget, as of `tvdb ingest`."""


class DocumentsWait(click.ClickException):
    """Ends the command; its message says why the documents wait and what to do."""

    exit_code = DOCUMENTS_WAIT

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, not as an error."""
        click.echo(f"\n{self.message}", file=file, err=True)


def note_waiting_documents(url: str, run_id: str) -> None:
    """Let the command that executes this run end with the code, if the run left documents waiting.

    In every other process this does nothing.

    Args:
        url: of the database, as SQLAlchemy has it.
        run_id: of a run that succeeded.
    """
    command = _materialize_command()
    if command is None:
        return
    with psycopg.connect("postgresql://" + url.partition("://")[2]) as connection:
        row = connection.execute(
            "SELECT count(*), min(error_message), min(error_remedy) FROM tvdb.documents"
            " WHERE status = %s AND run_id = %s",
            (DocumentStatus.DEFERRED.value, run_id),
        ).fetchone()
    if row is not None and row[0]:
        waiting = counted(row[0], "document waits", "documents wait")
        command.with_resource(_WaitingDocuments(f"{waiting}. {row[1]} {row[2]}"))


def _materialize_command() -> click.Context | None:
    """The context of ``dagster asset materialize``, if this thread executes it."""
    command = click.get_current_context(silent=True)
    if command is None or command.info_name != "materialize":
        return None
    return command if command.parent is not None and command.parent.info_name == "asset" else None


class _WaitingDocuments:
    """A resource of the command: closed when the command has ended, and ends it with the code."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        # A command that failed meanwhile keeps its own error.
        if kind is None:
            raise DocumentsWait(self._message)
