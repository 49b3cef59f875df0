"""A database whose connections break at chosen statements.

What belongs here: counting statements, and breaking the connection of some. What does not: which
ones (`fault_scenario`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import psycopg

from tvdb_assets.repositories.database import Database


class Cut(StrEnum):
    """When the connection breaks."""

    BEFORE_STATEMENT = "before_statement"
    """The server never gets the statement."""
    AFTER_STATEMENT = "after_statement"
    """The server has executed it, and the next one finds the connection broken."""
    AT_COMMIT = "at_commit"
    """The server never gets the commit of the statement's transaction."""
    AFTER_COMMIT = "after_commit"
    """The server has committed, and the client never hears of it."""


class CutDatabase(Database):
    """Breaks connections; the server is the real one."""

    def __init__(self, url: str, cuts: Mapping[int, Cut]) -> None:
        """Nothing is opened yet.

        Args:
            url: of the database.
            cuts: by the 1-based number of the statement.
        """
        super().__init__(url)
        self._cuts = dict(cuts)
        self._statements = 0
        self._at_commit: Cut | None = None
        self.is_cutting = True

    @property
    def cuts_left(self) -> int:
        """Cuts whose statement was not reached yet."""
        return len(self._cuts)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """As the real one, with the cuts of its statements."""
        self._at_commit = None
        with super().transaction() as tx:
            tx.cursor_factory = self._cursors()
            try:
                yield tx
            finally:
                tx.cursor_factory = psycopg.Cursor
            at_commit, self._at_commit = self._at_commit, None
            if at_commit is Cut.AT_COMMIT:
                sever(tx)
        if at_commit is Cut.AFTER_COMMIT:
            raise psycopg.OperationalError("the connection broke after the commit")

    @contextmanager
    def _statement(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Count a statement, and break its connection if its number says so."""
        self._statements += self.is_cutting
        cut = self._cuts.pop(self._statements, None) if self.is_cutting else None
        if cut is Cut.BEFORE_STATEMENT:
            sever(connection)
        yield
        if cut is Cut.AFTER_STATEMENT:
            sever(connection)
        elif cut is not None:
            self._at_commit = cut

    def _cursors(self) -> type[psycopg.Cursor[Any]]:
        statement = self._statement

        class Counted(psycopg.Cursor[Any]):
            def execute(self, *args: Any, **kwargs: Any) -> Any:
                with statement(self.connection):
                    return super().execute(*args, **kwargs)

            def executemany(self, *args: Any, **kwargs: Any) -> None:
                with statement(self.connection):
                    super().executemany(*args, **kwargs)

            @contextmanager
            def copy(self, *args: Any, **kwargs: Any) -> Iterator[psycopg.Copy]:
                with statement(self.connection), super().copy(*args, **kwargs) as copy:
                    yield copy

        return Counted


def sever(connection: psycopg.Connection[Any]) -> None:
    """Shut down the connection's socket, as the network does."""
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
