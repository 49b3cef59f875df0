"""Batch jobs of paid embedders, their texts, and the documents that wait for them.

What belongs here: statements on `tvdb.embedding_batches`, `tvdb.embedding_batch_texts` and
`tvdb.embedding_batch_returns`. What does not: requests for a job (`embedding.batch_jobs`), or money
(`spend_guard`).

The texts of a job are claimed by its holder from the moment that they are collected until the job
is done, whatever happens to the process that collected them (`text_claims`). A job is changed by a
process that has locked its row, so what two processes find out about it is applied once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from psycopg.rows import class_row

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import new_part
from tvdb_assets.repositories import locks, text_claims
from tvdb_assets.repositories.batch_rows import BatchJob, BatchText
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.leases import (
    delete_leases,
    end_leases_of_dead_processes,
    is_claimed,
)

MOST_MISSES = 2
"""Jobs that did not embed a text, after which it is embedded at once."""
_UNSURE = [codes.LOST.code, codes.BAD_ANSWER.code, "assumed"]
"""Outcomes of ledger entries whose request may have been billed."""


class EmbeddingBatches:
    """The batch jobs in one database."""

    def __init__(self, database: Database, clock: Callable[[], datetime] | None = None) -> None:
        """Store a database; without ``clock``, the clock of the database is used."""
        self._database = database
        self._clock = clock

    def open_jobs(self) -> list[BatchJob]:
        """The jobs that are ready, or submitted and not done.

        That comes first which was not advanced for the longest time, so that no job keeps the
        others waiting.
        """

        def read(tx: Connection) -> list[BatchJob]:
            with tx.cursor(row_factory=class_row(BatchJob)) as cursor:
                return cursor.execute(_OPEN, {"now": self._now(), "unsure": _UNSURE}).fetchall()

        with self._database.transaction() as tx:
            found = read(tx)
            if any(job.is_in_flight for job in found):
                end_leases_of_dead_processes(tx)
                found = read(tx)
        return found

    def touch(self, job: BatchJob) -> None:
        """Record that a job is being advanced now, whatever comes of it."""
        with self._database.transaction() as tx:
            tx.execute(
                "UPDATE tvdb.embedding_batches SET changed_at = coalesce(%s, tvdb.clock())"
                " WHERE job_id = %s",
                (self._now(), job.job_id),
            )

    def reread(self, job_id: UUID) -> BatchJob | None:
        """A job as it is now; None if it is done."""
        return next((job for job in self.open_jobs() if job.job_id == job_id), None)

    def is_only_job(self, job: BatchJob) -> bool:
        """Whether the service has no other job of the same account that is not done."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT NOT EXISTS (SELECT FROM tvdb.embedding_batches WHERE state = 'submitted'"
                " AND (service, account) = (%s, %s) AND job_id <> %s)",
                (job.service, job.account, job.job_id),
            ).fetchone()
        return row is not None and bool(row[0])

    def texts_of(self, job_id: UUID) -> list[BatchText]:
        """The texts of a job, in the order of the documents."""
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(BatchText)) as cursor,
        ):
            return cursor.execute(_TEXTS, (job_id,)).fetchall()

    def vectors_known(self, job: BatchJob) -> set[bytes]:
        """The texts of a job that have got a vector by other means."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT text_sha256 FROM tvdb.embedding_batch_texts t"
                " JOIN tvdb.embeddings e USING (text_sha256)"
                " WHERE t.job_id = %s AND e.space_id = %s",
                (job.job_id, job.space_id),
            ).fetchall()
        return {row[0] for row in rows}

    def token_counts(
        self, tx: Connection, job: BatchJob, hashes: Sequence[bytes]
    ) -> dict[bytes, int]:
        """The tokens of texts of a job, as they were counted when they were collected."""
        rows = tx.execute(
            "SELECT text_sha256, tokens FROM tvdb.embedding_batch_texts WHERE job_id = %s"
            " AND text_sha256 = ANY(%s)",
            (job.job_id, list(hashes)),
        ).fetchall()
        return dict(rows)

    def remove_texts(self, job: BatchJob, hashes: Sequence[bytes]) -> None:
        """Take texts out of a job that is not uploaded, and release them."""

        def write(tx: Connection) -> None:
            if not self._lock(tx, job.job_id, "ready"):
                return
            tx.execute(
                "DELETE FROM tvdb.embedding_batch_texts WHERE job_id = %s"
                " AND text_sha256 = ANY(%s)",
                (job.job_id, list(hashes)),
            )
            tx.execute(
                "DELETE FROM tvdb.text_claims WHERE space_id = %s AND holder = %s"
                " AND text_sha256 = ANY(%s)",
                (job.space_id, job.holder, list(hashes)),
            )
            self._count(tx, job.job_id)

        self._database.run(write)

    def split(self, job: BatchJob, hashes: Sequence[bytes]) -> UUID:
        """Move texts of a job that is ready to a new job, which is ready as well; returns its id.

        Both are uploaded again.
        """
        new_id, holder = new_part(), locks.new_claim_key()

        def write(tx: Connection) -> None:
            if not self._lock(tx, job.job_id, "ready") or not hashes:
                return
            tx.execute(
                "INSERT INTO tvdb.embedding_batches (job_id, holder, service, account, space_id,"
                " run_id, state, created_at, changed_at)"
                " SELECT %s, %s, service, account, space_id, run_id, 'ready', created_at,"
                " changed_at FROM tvdb.embedding_batches WHERE job_id = %s"
                " ON CONFLICT (job_id) DO NOTHING",
                (new_id, holder, job.job_id),
            )
            tx.execute(
                "UPDATE tvdb.embedding_batch_texts SET job_id = %s WHERE job_id = %s"
                " AND text_sha256 = ANY(%s)",
                (new_id, job.job_id, list(hashes)),
            )
            tx.execute(
                "UPDATE tvdb.text_claims SET holder = %s WHERE space_id = %s AND holder = %s"
                " AND text_sha256 = ANY(%s)",
                (holder, job.space_id, job.holder, list(hashes)),
            )
            for each in (job.job_id, new_id):
                self._count(tx, each)
            self._change(tx, job.job_id, file_id=None)

        self._database.run(write)
        return new_id

    def set_bounds(self, job: BatchJob, most: Mapping[bytes, int]) -> None:
        """Record what each text of a job is billed at most, before its file is uploaded."""
        with self._database.transaction() as tx:
            tx.execute(
                "UPDATE tvdb.embedding_batch_texts t SET most = n.most"
                " FROM unnest(%s::bytea[], %s::int[]) AS n(h, most)"
                " WHERE t.job_id = %s AND t.text_sha256 = n.h",
                (list(most), list(most.values()), job.job_id),
            )

    def set_file(self, job: BatchJob, file_id: str | None) -> None:
        """Record the uploaded file of a job; None if it has to be uploaded again."""

        def write(tx: Connection) -> None:
            if self._lock(tx, job.job_id, "ready"):
                self._change(tx, job.job_id, file_id=file_id)

        self._database.run(write)

    def begin_submission(
        self,
        tx: Connection,
        job: BatchJob,
        entry_id: UUID,
        submitter: int,
        unit_usd: Decimal,
        account: str,
    ) -> None:
        """Record that a job is about to be submitted, in the transaction that reserves its cost.

        Args:
            tx: that transaction.
            job: which is ready, and whose file is uploaded.
            entry_id: of the reservation.
            submitter: key of the claim of this process, which has a lease from now on.
            unit_usd: US dollars for a token without a batch job.
            account: of this submission.

        Raises:
            StorageError: ``claim_lost``. Another process has submitted it, or is about to.
        """
        row = tx.execute(
            "SELECT state, file_id, submitter FROM tvdb.embedding_batches WHERE job_id = %s"
            " FOR UPDATE",
            (job.job_id,),
        ).fetchone()
        if row is None or row[0] != "ready" or row[1] != job.file_id:
            raise codes.CLAIM_LOST.error()
        if row[2] is not None:
            delete_leases(tx, [row[2]])
        self._database.leases.keep(tx, submitter)
        self._change(
            tx,
            job.job_id,
            state="submitting",
            entry_id=entry_id,
            submitter=submitter,
            listed_at=None,
            unit_usd=unit_usd,
            account=account,
        )

    def end_claim(self, submitter: int) -> None:
        """End the claim of a process that no longer waits for the answer to a submission."""
        self._database.end_claim(submitter)

    def record_submission(
        self, tx: Connection, job_id: UUID, entry_id: UUID, batch_id: str
    ) -> bool:
        """Record the answer to a submission, in the transaction that extends its reservation.

        Returns:
            False if it is not the last submission of the job, or its answer is recorded already.
        """
        if not self._lock(tx, job_id, "submitting", entry_id=entry_id):
            return False
        self._change(
            tx,
            job_id,
            state="submitted",
            batch_id=batch_id,
            status="validating",
            is_cancelled=False,
            failures=0,
            waits_for=None,
            waits_message=None,
            submitted_at=self._time(tx),
        )
        return True

    def is_submitted(self, tx: Connection, job_id: UUID, batch_id: str) -> bool:
        """Whether the answer to a submission is recorded."""
        row = tx.execute(
            "SELECT batch_id FROM tvdb.embedding_batches WHERE job_id = %s FOR UPDATE", (job_id,)
        ).fetchone()
        return row is not None and row[0] == batch_id

    def return_to_ready(self, tx: Connection, job: BatchJob, **changes: object) -> bool:
        """Have a job submitted again, of which nothing is billed; False if it is done already."""
        if not self._lock(tx, job.job_id, job.state, entry_id=job.entry_id):
            return False
        self._change(tx, job.job_id, **({"state": "ready", "batch_id": None} | changes))
        return True

    def note(self, job: BatchJob, **changes: object) -> None:
        """Record what is known of a job, such as ``status`` or ``waits_for``."""
        with self._database.transaction() as tx:
            self._change(tx, job.job_id, **changes)

    def lock_submitted(self, tx: Connection, job: BatchJob) -> bool:
        """Lock a job; False if another process has ended it, or has it submitted again."""
        return self._lock(tx, job.job_id, "submitted", entry_id=job.entry_id)

    def is_done(self, tx: Connection, job: BatchJob) -> bool:
        """Whether the end of a job is recorded; locks its row."""
        return self._lock(tx, job.job_id, "done")

    def finish(
        self,
        tx: Connection,
        job: BatchJob,
        outcome: str,
        stored: Collection[bytes],
        returned: Mapping[bytes, int],
    ) -> None:
        """Record the end of a job, and release its texts.

        Args:
            tx: the transaction that stores its vectors and posts its cost. It has locked the job.
            job: the job.
            outcome: one word.
            stored: texts that have got a vector.
            returned: texts that have got none, with the number of misses to add.
        """
        tx.execute(
            "DELETE FROM tvdb.embedding_batch_returns WHERE space_id = %s"
            " AND text_sha256 = ANY(%s)",
            (job.space_id, list(stored)),
        )
        tx.execute(
            "INSERT INTO tvdb.embedding_batch_returns AS r (space_id, text_sha256, misses,"
            " returned_at) SELECT %s, h, m, %s FROM unnest(%s::bytea[], %s::int[]) AS n(h, m)"
            " ORDER BY h ON CONFLICT (space_id, text_sha256) DO UPDATE"
            " SET misses = r.misses + excluded.misses, returned_at = excluded.returned_at",
            (job.space_id, self._time(tx), list(returned), list(returned.values())),
        )
        text_claims.release(tx, job.holder)
        tx.execute("DELETE FROM tvdb.embedding_batch_texts WHERE job_id = %s", (job.job_id,))
        self._change(
            tx,
            job.job_id,
            state="done",
            outcome=outcome,
            ended_at=self._time(tx),
            waits_for=None,
            waits_message=None,
        )

    def release(self, job: BatchJob, outcome: str, misses: int) -> None:
        """End a job that was not submitted, and release its texts.

        Args:
            job: which is ready.
            outcome: one word.
            misses: to add to each text; `MOST_MISSES` has them embedded at once.
        """

        def write(tx: Connection) -> None:
            if self._lock(tx, job.job_id, "ready"):
                rows = tx.execute(
                    "SELECT text_sha256 FROM tvdb.embedding_batch_texts WHERE job_id = %s",
                    (job.job_id,),
                ).fetchall()
                self.finish(tx, job, outcome, (), {row[0]: misses for row in rows})

        self._database.run(write)

    def _lock(
        self, tx: Connection, job_id: UUID, state: str, *, entry_id: UUID | None = None
    ) -> bool:
        row = tx.execute(
            "SELECT state, entry_id FROM tvdb.embedding_batches WHERE job_id = %s FOR UPDATE",
            (job_id,),
        ).fetchone()
        return row is not None and row[0] == state and entry_id in (None, row[1])

    def _count(self, tx: Connection, job_id: UUID) -> None:
        tx.execute(COUNT_TEXTS, {"job": job_id, "now": self._now()})

    def _change(self, tx: Connection, job_id: UUID, **changes: object) -> None:
        assert changes.keys() <= _CHANGEABLE
        columns = ", ".join(f"{name} = %({name})s" for name in changes)
        tx.execute(
            f"UPDATE tvdb.embedding_batches SET {columns},"
            " changed_at = coalesce(%(now)s, tvdb.clock()) WHERE job_id = %(job)s",
            {**changes, "now": self._now(), "job": job_id},
        )

    def _time(self, tx: Connection) -> datetime:
        row = tx.execute("SELECT coalesce(%s, tvdb.clock())", (self._now(),)).fetchone()
        assert row is not None
        return row[0]  # type: ignore[no-any-return]

    def _now(self) -> datetime | None:
        return self._clock() if self._clock is not None else None


COUNT_TEXTS = """
UPDATE tvdb.embedding_batches j SET (texts, tokens, bytes) = (
    SELECT count(*), coalesce(sum(t.tokens), 0), coalesce(sum(t.bytes), 0)
    FROM tvdb.embedding_batch_texts t WHERE t.job_id = j.job_id),
    changed_at = coalesce(%(now)s, tvdb.clock())
WHERE job_id = %(job)s
"""
_CHANGEABLE = frozenset(
    {"state", "file_id", "entry_id", "submitter", "batch_id", "listed_at", "status", "completed"}
    | {"is_cancelled", "failures", "not_before", "waits_for", "waits_message", "unit_usd"}
    | {"outcome", "submitted_at", "ended_at", "account"}
)
_OPEN = f"""
SELECT j.job_id, j.service, j.account, j.space_id, j.run_id, j.holder, j.state, j.texts, j.file_id,
       j.entry_id, j.batch_id, j.listed_at, j.status, j.is_cancelled, j.failures, j.not_before,
       j.submitted_at, s.provider, s.model, s.dimensions, s.version, l.reserved_usd,
       l.state AS entry_state,
       CASE WHEN l.state = 'pending' THEN l.lease_until ELSE l.settled_at END AS entry_ended_at,
       coalesce(j.state = 'submitting' AND l.state = 'pending'
                AND {is_claimed("j.submitter")}, false) AS is_in_flight,
       coalesce(%(now)s, tvdb.clock()) AS now
FROM tvdb.embedding_batches j JOIN tvdb.vector_spaces s USING (space_id)
LEFT JOIN tvdb.cost_ledger l USING (entry_id)
WHERE j.state IN ('ready', 'submitting', 'submitted') ORDER BY j.changed_at, j.created_at, j.job_id
"""
_TEXTS = """
SELECT t.text_sha256 AS sha256, t.tokens, t.most, c.text, c.path AS document
FROM tvdb.embedding_batch_texts t
LEFT JOIN LATERAL (
    SELECT c.chunk_id, c.repeated_header || c.text AS text, d.path
    FROM tvdb.chunks c JOIN tvdb.documents d USING (document_id)
    WHERE c.text_sha256 = t.text_sha256 ORDER BY c.chunk_id LIMIT 1
) c ON true
WHERE t.job_id = %s ORDER BY c.chunk_id, t.text_sha256
"""
