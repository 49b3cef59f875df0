"""What happens to a run's calls besides money: noted, so that its story can be told.

What belongs here: the kinds of happenings, and adding their rows. What does not: the paid
calls themselves, each of which is a row of the ledger (`ledger`), or telling the story
(`storage.story`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import psycopg

from tvdb_assets.storage.database import Database

ClockOf: TypeAlias = Callable[[psycopg.Connection[Any]], datetime]


class Happening(StrEnum):
    """What can happen."""

    REQUEST = "request"
    """A request that costs nothing was answered, or was not: a poll, a probe."""
    WAITED = "rate_waited"
    """A request stood in line for the service's own limit."""
    HALTED = "halted"
    """A limit of our own stood in the way; noted once a run for each service and code."""
    BATCH_HALVED = "batch_halved"
    """What was refused, or too dear, as a whole is tried in two parts."""
    JOB_RESUMED = "job_resumed"
    """A job that was submitted before is awaited, and not submitted again."""
    BREAKER_OPENED = "breaker_opened"
    BREAKER_PROBED = "breaker_probed"
    BREAKER_CLOSED = "breaker_closed"
    SERVICE_REFUSED = "service_refused"
    """Key, quota or model: nobody asks again for a while."""


class Journal:
    """Adds to the happenings of one run."""

    def __init__(self, database: Database, run_id: str, clock: ClockOf) -> None:
        """Nothing is opened yet; ``clock`` is the ledger's, so that both can be put in order."""
        self._database = database
        self._clock = clock
        self._told: set[tuple[str, str]] = set()
        self.run_id = run_id

    async def note(
        self,
        kind: Happening,
        service: str,
        message: str,
        *,
        document: str | None = None,
        part: UUID | None = None,
        request_id: str | None = None,
        code: str | None = None,
        status: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """Add a row. A note that can't be written stops nothing: what is paid is on the ledger.

        Args:
            kind: what happened.
            service: with which.
            message: for people, in words of our own.
            document: whose request it was.
            part: of the request's id.
            request_id: the service's own name for the request.
            code: of the error, if it was one.
            status: of HTTP, if there was an answer.
            seconds: how long it took.
        """
        if kind is Happening.HALTED:
            told = (service, code or "")
            if told in self._told:
                return
            self._told.add(told)
        row = (self.run_id, service, kind.value, document, part, request_id)
        await asyncio.to_thread(self._add, (*row, code, status, seconds, message))

    def _add(self, row: tuple[object, ...]) -> None:
        try:
            with self._database.transaction() as tx:
                tx.execute(
                    "INSERT INTO tvdb.service_events (happened_at, run_id, service, kind, document,"
                    " part, request_id, code, http_status, seconds, message)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (self._clock(tx), *row),
                )
        except psycopg.Error:
            return
