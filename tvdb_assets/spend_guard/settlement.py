"""Transactions that store what was paid for: committed again until they hold.

What belongs here: repeating such a transaction on new connections, for as long as the process
lives. What does not: what it stores and posts (`guard`, `parsing.paid_parsing`).

A response that can't be stored has to be paid for again. So a connection that breaks, a server
that restarts, or a failover to another server delays the transaction and never ends it. The
outcome of a commit is not known if the connection breaks during it: before the transaction is
repeated, its ledger entry is read, under a lock that waits for the former transaction to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial

import psycopg

from tvdb_assets.repositories.database import Database, is_connection_lost
from tvdb_assets.spend_guard.paid_call import Transaction
from tvdb_assets.telemetry import SETTLEMENT_REPEATED, log_event

_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 5.0


class Settlement:
    """Commits the transactions of one run that must not be lost."""

    def __init__(self, database: Database, run_id: str) -> None:
        """Nothing is opened yet."""
        self._database = database
        self._run_id = run_id

    async def commit(
        self,
        service: str,
        write: Callable[[Transaction], None],
        is_committed: Callable[[Transaction], bool],
    ) -> None:
        """Run a transaction until it holds.

        A caller that is cancelled, however often, waits for the attempt that is under way, and for
        no other.

        Args:
            service: that was paid.
            write: stores and posts; runs in a thread, again from its beginning if necessary.
            is_committed: whether an earlier attempt holds. Called before each attempt but the
                first, in its transaction; locks what `write` changes, so that it waits for the
                former transaction, which the server may be committing still.

        Raises:
            psycopg.Error: the transaction itself is refused, on whichever connection.
        """
        attempt, wait = 1, _FIRST_WAIT_SECONDS
        while True:
            try:
                await self._run(partial(self._attempt, write, is_committed, attempt > 1))
            except psycopg.Error as error:
                if not is_connection_lost(error):
                    raise
                if attempt & (attempt - 1) == 0:  # the 1st, 2nd, 4th, 8th ...
                    log_event(
                        SETTLEMENT_REPEATED,
                        "What was paid for could not be stored yet.",
                        {"service": service, "code": error.sqlstate, "attempt": attempt},
                        run_id=self._run_id,
                    )
            else:
                return
            await asyncio.sleep(wait)
            attempt, wait = attempt + 1, min(_LONGEST_WAIT_SECONDS, 2 * wait)

    async def _run(self, work: Callable[[], None]) -> None:
        # No task: all tasks are cancelled when a program is interrupted, and an attempt that
        # waits for a free thread would never run.
        running = asyncio.get_running_loop().run_in_executor(None, copy_context().run, work)
        is_cancelled = False
        while not running.done():
            try:
                # Without the shield, a second cancellation would end an attempt that waits for a
                # thread.
                await asyncio.shield(running)
            except asyncio.CancelledError:
                is_cancelled = True
            except psycopg.Error:
                break
        if not is_cancelled:
            return running.result()
        with suppress(psycopg.Error):
            running.result()
        raise asyncio.CancelledError

    def _attempt(
        self,
        write: Callable[[Transaction], None],
        is_committed: Callable[[Transaction], bool],
        is_repeated: bool,
    ) -> None:
        with self._database.transaction() as tx:
            if is_repeated and is_committed(tx):
                return
            write(tx)
