"""Submissions to paid parsers and their jobs, so that no document is submitted twice.

What belongs here: statements on `tvdb.parse_jobs` and `tvdb.parse_submissions`. What does not:
waiting for a job, or its cost (`parsing.paid_parsing`, `spend_guard`).

A submission is written with its reservation, and its job when the answer arrives. A submission
without a job is in flight while its claim is valid; afterwards its answer is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ParseError
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Database, connect
from tvdb_assets.repositories.leases import (
    delete_leases,
    end_leases_of_dead_processes,
    is_claimed,
)

REUSE_JOBS_FOR = timedelta(hours=24)
"""How long the result of a job is fetched instead of submitting its document again. The service
stores results for 48 hours."""
_UNSURE = [codes.LOST.code, codes.BAD_ANSWER.code, "assumed"]
"""Outcomes of ledger entries whose request may have been billed."""


@dataclass(frozen=True, slots=True)
class UnansweredSubmission:
    """A submission that may have become a job whose id is not known."""

    entry_id: UUID
    reserved_usd: Decimal
    sent_after: datetime
    """By the clock of the ledger."""
    sent_before: datetime
    is_in_flight: bool
    """Its process still waits for the answer."""


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
        return self._database.run(lambda tx: self._find(tx, service, content_sha256, fingerprint))

    def unanswered(
        self, service: str, account: str, content_sha256: bytes, fingerprint: str
    ) -> list[UnansweredSubmission]:
        """Submissions of these bytes, by this account, that may have a job; the newest first."""

        def read(tx: psycopg.Connection[Any]) -> list[UnansweredSubmission]:
            found = self._unanswered(tx, service, account, content_sha256, fingerprint)
            if any(sent.is_in_flight for sent in found):
                end_leases_of_dead_processes(tx)
                found = self._unanswered(tx, service, account, content_sha256, fingerprint)
            return found

        return self._database.run(read)

    def add_submission(
        self,
        tx: psycopg.Connection[Any],
        service: str,
        account: str,
        entry_id: UUID,
        content_sha256: bytes,
        fingerprint: str,
        holder: int,
        looked_for: Collection[UUID],
    ) -> None:
        """Record that these bytes are about to be submitted, in the transaction that reserves.

        Args:
            tx: that transaction. It has locked the budget windows of the service, so no other
                process reserves a submission until it ends.
            service: the paid parser.
            account: fingerprint of its key and server.
            entry_id: of the reservation.
            content_sha256: of the bytes.
            fingerprint: of the parser.
            holder: key of the claim, which has a lease from now on.
            looked_for: entries of unanswered submissions that are not in the service's list.

        Raises:
            StorageError: ``claim_lost``. Another process has submitted these bytes, after this one
                lost its connection and with it the lock of `submission_lock`.
        """
        unanswered = self._unanswered(tx, service, account, content_sha256, fingerprint)
        if any(sent.is_in_flight or sent.entry_id not in looked_for for sent in unanswered) or (
            self._find(tx, service, content_sha256, fingerprint) is not None
        ):
            raise codes.CLAIM_LOST.error()
        taken_over = tx.execute(
            "SELECT holder FROM tvdb.parse_submissions WHERE entry_id = ANY(%s) AND holder <> %s",
            ([sent.entry_id for sent in unanswered], holder),
        ).fetchall()
        delete_leases(tx, [row[0] for row in taken_over])
        self._database.leases.keep(tx, holder)
        tx.execute(
            "INSERT INTO tvdb.parse_submissions"
            " (entry_id, service, account, content_sha256, fingerprint, holder, submitted_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, now()))",
            (entry_id, service, account, content_sha256, fingerprint, holder, self._now()),
        )

    def end_claim(self, holder: int) -> None:
        """End the claim of a process that no longer waits for an answer."""
        self._database.end_claim(holder)

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
            " VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, now()))"
            # Another process may have found the job in the list of the service.
            " ON CONFLICT (service, job_id) DO NOTHING",
            (service, job_id, entry_id, content_sha256, fingerprint, self._run_id, self._now()),
        )

    def close(
        self,
        tx: psycopg.Connection[Any],
        service: str,
        job_id: str,
        state: str,
        unusable: ParseError | None = None,
    ) -> None:
        """Record the end of a job.

        Args:
            tx: the transaction that posts its cost.
            service: the paid parser.
            job_id: its id there.
            state: ``done`` or ``failed``.
            unusable: why a text that was paid for is no usable one; see `find_unusable`.
        """
        error: tuple[str | None, ...] = (None, None, None)
        if unusable is not None:
            error = (unusable.code, unusable.message, unusable.remedy)
        tx.execute(
            "UPDATE tvdb.parse_jobs SET state = %s, error_code = %s, error_message = %s,"
            " error_remedy = %s WHERE service = %s AND job_id = %s",
            (state, *error, service, job_id),
        )

    def find_unusable(
        self, service: str, content_sha256: bytes, fingerprint: str
    ) -> ParseError | None:
        """The error of the same bytes, if their last job was paid for and gave no usable text."""

        def read(tx: psycopg.Connection[Any]) -> tuple[Any, ...] | None:
            return tx.execute(
                "SELECT error_code, error_message, error_remedy, submitted_at"
                " FROM tvdb.parse_jobs WHERE state <> 'failed'"
                " AND (service, content_sha256, fingerprint) = (%s, %s, %s)"
                " ORDER BY submitted_at DESC LIMIT 1",
                (service, content_sha256, fingerprint),
            ).fetchone()

        row = self._database.run(read)
        if row is None or row[0] is None:
            return None
        code, message, remedy, when = row
        return ParseError.restored(
            code,
            f"{message} That was on {when:%Y-%m-%d}, and the document was not paid for again.",
            remedy=f"{remedy} To pay for it once more, run tvdb retry --pay-again.",
        )

    def is_closed(self, tx: psycopg.Connection[Any], service: str, job_id: str) -> bool:
        """Whether the end of a job is recorded."""
        row = tx.execute(
            "SELECT state <> 'submitted' FROM tvdb.parse_jobs WHERE service = %s AND job_id = %s",
            (service, job_id),
        ).fetchone()
        return row is not None and bool(row[0])

    def _find(
        self, tx: psycopg.Connection[Any], service: str, content_sha256: bytes, fingerprint: str
    ) -> tuple[str, UUID, Decimal, str] | None:
        return tx.execute(
            "SELECT j.job_id, j.entry_id, l.reserved_usd, l.run_id FROM tvdb.parse_jobs j"
            " JOIN tvdb.cost_ledger l USING (entry_id)"
            " WHERE j.service = %s AND j.content_sha256 = %s AND j.fingerprint = %s"
            " AND j.state <> 'failed' AND j.submitted_at > coalesce(%s, now()) - %s::interval"
            " ORDER BY j.submitted_at DESC LIMIT 1",
            (service, content_sha256, fingerprint, self._now(), REUSE_JOBS_FOR),
        ).fetchone()

    def _unanswered(
        self,
        tx: psycopg.Connection[Any],
        service: str,
        account: str,
        content_sha256: bytes,
        fingerprint: str,
    ) -> list[UnansweredSubmission]:
        found = tx.execute(
            "SELECT s.entry_id, l.reserved_usd, l.reserved_at, l.lease_until,"
            f" l.state = 'pending' AND {is_claimed('s.holder')}"
            " FROM tvdb.parse_submissions s JOIN tvdb.cost_ledger l USING (entry_id)"
            " WHERE (s.service, s.account, s.content_sha256, s.fingerprint) = (%s, %s, %s, %s)"
            " AND l.job_id IS NULL AND (l.state = 'pending' OR l.outcome = ANY(%s))"
            " AND s.submitted_at > coalesce(%s, now()) - %s::interval"
            " ORDER BY s.submitted_at DESC, s.entry_id",
            (service, account, content_sha256, fingerprint, _UNSURE, self._now(), REUSE_JOBS_FOR),
        )
        return [UnansweredSubmission(*row) for row in found]

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
            self._session = connect(self._url)
        return locks.try_acquire(self._session, self._key)

    def close(self) -> None:
        if self._session is None:
            return
        # The server ends a session, and releases its locks, a moment after it was closed. Other
        # callers should not wait for that.
        with suppress(psycopg.Error):
            locks.release_all(self._session)
        self._session.close()
