"""Submitted jobs of paid parsers, so that no document is submitted twice.

What belongs here: statements on `tvdb.parse_jobs`. What does not: waiting for a job, or its cost
(`parsing.paid_parsing`, `spend_guard`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Database

REUSE_JOBS_FOR = timedelta(hours=24)
"""How long the result of a job is fetched instead of submitting its document again. The service
stores results for 48 hours."""


class ParseJobs:
    """The submitted jobs in one database."""

    def __init__(
        self, database: Database, run_id: str, clock: Callable[[], datetime] | None = None
    ) -> None:
        """Store a database and a run; without ``clock``, the clock of the database is used."""
        self._database = database
        self._run_id = run_id
        self._clock = clock

    def find(
        self, service: str, content_sha256: bytes, fingerprint: str
    ) -> tuple[str, UUID, Decimal, str] | None:
        """A job for the same bytes that has not failed: id, ledger entry, reserved USD, run id."""

        def read(tx: psycopg.Connection[Any]) -> tuple[str, UUID, Decimal, str] | None:
            return tx.execute(
                "SELECT j.job_id, j.entry_id, l.reserved_usd, l.run_id FROM tvdb.parse_jobs j"
                " JOIN tvdb.cost_ledger l USING (entry_id)"
                " WHERE j.service = %s AND j.content_sha256 = %s AND j.fingerprint = %s"
                " AND j.state <> 'failed' AND j.submitted_at > coalesce(%s, now()) - %s::interval"
                " ORDER BY j.submitted_at DESC LIMIT 1",
                (service, content_sha256, fingerprint, self._now(), REUSE_JOBS_FOR),
            ).fetchone()

        return self._database.run(read)

    @contextmanager
    def submission_lock(
        self, content_sha256: bytes, fingerprint: str
    ) -> Iterator[Callable[[], bool]]:
        """A lock for submitting these bytes, which one caller in all processes holds at a time.

        Yields:
            A function that tries to take the lock and returns whether it is held. The lock ends
            with the block, or with the process.
        """
        lock = _SessionLock(self._database.url, locks.submission_key(content_sha256, fingerprint))
        try:
            yield lock.try_acquire
        finally:
            lock.close()

    def add(
        self,
        tx: psycopg.Connection[Any],
        service: str,
        job_id: str,
        entry_id: UUID,
        content_sha256: bytes,
        fingerprint: str,
    ) -> None:
        """Record a submission in the transaction that settles its request."""
        tx.execute(
            "INSERT INTO tvdb.parse_jobs"
            " (service, job_id, entry_id, content_sha256, fingerprint, run_id, submitted_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, now()))",
            (service, job_id, entry_id, content_sha256, fingerprint, self._run_id, self._now()),
        )

    def close(self, tx: psycopg.Connection[Any], service: str, job_id: str, state: str) -> None:
        """Record the end of a job: ``done`` or ``failed``."""
        tx.execute(
            "UPDATE tvdb.parse_jobs SET state = %s WHERE service = %s AND job_id = %s",
            (state, service, job_id),
        )

    def is_closed(self, tx: psycopg.Connection[Any], service: str, job_id: str) -> bool:
        """Whether the end of a job is recorded."""
        row = tx.execute(
            "SELECT state <> 'submitted' FROM tvdb.parse_jobs WHERE service = %s AND job_id = %s",
            (service, job_id),
        ).fetchone()
        return row is not None and bool(row[0])

    def _now(self) -> datetime | None:
        return self._clock() if self._clock is not None else None


class _SessionLock:
    """A session lock on its own connection, because waiting callers need those of the pool."""

    def __init__(self, url: str, key: locks.LockKey) -> None:
        self._url = url
        self._key = key
        self._session: psycopg.Connection[Any] | None = None

    def try_acquire(self) -> bool:
        """Take the lock unless another session holds it, on a new connection if one was lost."""
        try:
            return self._try()
        except psycopg.OperationalError:
            if self._session is not None:
                self._session.close()
                self._session = None
            return self._try()

    def _try(self) -> bool:
        if self._session is None:
            self._session = psycopg.connect(self._url, autocommit=True)
        return locks.try_acquire(self._session, self._key)

    def close(self) -> None:
        if self._session is None:
            return
        # The server ends a session, and releases its locks, a moment after it was closed. Other
        # callers should not wait for that.
        with suppress(psycopg.Error):
            locks.release_all(self._session)
        self._session.close()
