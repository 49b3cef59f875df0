"""The record of paid parses that were submitted, so that none is submitted twice.

What belongs here: statements on `tvdb.parse_jobs`. What does not: waiting for a job, or what
it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import psycopg

from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Database

KEPT = timedelta(hours=24)
"""So long a job is asked for again instead of submitting its document anew; the service keeps
results for 48 hours."""


class ParseJobs:
    """The submissions of one database."""

    def __init__(
        self, database: Database, run_id: str, clock: Callable[[], datetime] | None = None
    ) -> None:
        """Rows that are written carry ``run_id``; ``clock`` None means the database's own."""
        self._database = database
        self._run_id = run_id
        self._clock = clock

    def find(
        self, service: str, content_sha256: bytes, fingerprint: str
    ) -> tuple[str, UUID, Decimal, str] | None:
        """A job for the same bytes that has not failed: id, ledger entry, hold in USD, its run."""
        with self._database.transaction() as tx:
            return tx.execute(
                "SELECT j.job_id, j.entry_id, l.reserved_usd, l.run_id FROM tvdb.parse_jobs j"
                " JOIN tvdb.cost_ledger l USING (entry_id)"
                " WHERE j.service = %s AND j.content_sha256 = %s AND j.fingerprint = %s"
                " AND j.state <> 'failed' AND j.submitted_at > coalesce(%s, now()) - %s::interval"
                " ORDER BY j.submitted_at DESC LIMIT 1",
                (service, content_sha256, fingerprint, self._now(), KEPT),
            ).fetchone()

    @contextmanager
    def submission_lock(
        self, content_sha256: bytes, fingerprint: str
    ) -> Iterator[Callable[[], bool]]:
        """A turn to submit these bytes, which one caller of all processes has at a time.

        Yields:
            Takes the turn, and says whether it has it. It ends with the block, or with the
            process, however that ends.
        """
        key = locks.submission_key(content_sha256, fingerprint)
        # Of its own: the pool's few connections are needed to get on while this one is held.
        with psycopg.connect(self._database.url, autocommit=True) as session:
            try:
                yield partial(locks.try_acquire, session, key)
            finally:
                # The server ends a session a moment after it was closed, and its locks with it;
                # who waits should not wait for that.
                with suppress(psycopg.Error):
                    locks.release_all(session)

    def add(
        self,
        tx: psycopg.Connection[Any],
        service: str,
        job_id: str,
        entry_id: UUID,
        content_sha256: bytes,
        fingerprint: str,
    ) -> None:
        """Note a submission in the transaction that settles its request."""
        tx.execute(
            "INSERT INTO tvdb.parse_jobs"
            " (service, job_id, entry_id, content_sha256, fingerprint, run_id, submitted_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, now()))",
            (service, job_id, entry_id, content_sha256, fingerprint, self._run_id, self._now()),
        )

    def close(self, tx: psycopg.Connection[Any], service: str, job_id: str, state: str) -> None:
        """Note how a job ended: ``done`` or ``failed``."""
        tx.execute(
            "UPDATE tvdb.parse_jobs SET state = %s WHERE service = %s AND job_id = %s",
            (state, service, job_id),
        )

    def _now(self) -> datetime | None:
        return self._clock() if self._clock is not None else None
