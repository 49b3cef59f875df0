"""Texts that are put into batch jobs, and the documents that wait for them.

What belongs here: collecting texts, finding the documents whose jobs have ended, and the jobs as
people see them. What does not: the steps of a job (`embedding_batches`), or which texts are put
into one (`ingestion`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import new_part
from tvdb_assets.lifecycle import BatchEnded, DocumentStatus
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.embedding_batches import COUNT_TEXTS


@dataclass(frozen=True, slots=True)
class JobLimits:
    """How much one job holds."""

    texts: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TextSize:
    """A text to be put into a job."""

    sha256: bytes
    tokens: int
    bytes: int


class BatchTexts:
    """The texts that are put into the batch jobs of one database."""

    def __init__(self, database: Database, clock: Callable[[], datetime] | None = None) -> None:
        """Store a database; without ``clock``, the clock of the database is used."""
        self._database = database
        self._clock = clock

    def collect(
        self,
        space_id: int,
        texts: Sequence[TextSize],
        claimant: int,
        *,
        service: str,
        account: str,
        run_id: str,
        limits: JobLimits,
    ) -> None:
        """Put texts into the jobs of a run, the last of which is not full; claims them for the job.

        Args:
            space_id: id of the vector space.
            texts: which the claimant has claimed.
            claimant: key of their claim, which ends.
            service: the paid embedder.
            account: fingerprint of its key, server and model.
            run_id: the run.
            limits: of a job.
        """
        left = list(texts)
        while left:
            left = self._database.run(
                lambda tx, left=left: self._fill(  # type: ignore[misc]
                    tx, space_id, left, claimant, (service, account, run_id), limits
                )
            )

    def _fill(
        self,
        tx: Connection,
        space_id: int,
        texts: Sequence[TextSize],
        claimant: int,
        origin: tuple[str, str, str],
        limits: JobLimits,
    ) -> list[TextSize]:
        """Fill one job; returns the texts that are left."""
        service, account, run_id = origin
        row = tx.execute(
            "SELECT job_id, holder, texts, bytes FROM tvdb.embedding_batches"
            " WHERE state = 'collecting' AND (service, account, space_id, run_id)"
            "   = (%s, %s, %s, %s) ORDER BY created_at DESC LIMIT 1 FOR UPDATE",
            (service, account, space_id, run_id),
        ).fetchone()
        if row is None:
            row = new_part(), locks.new_claim_key(), 0, 0
            tx.execute(
                "INSERT INTO tvdb.embedding_batches (job_id, holder, service, account, space_id,"
                " run_id, created_at, changed_at) VALUES (%s, %s, %s, %s, %s, %s,"
                " coalesce(%s, tvdb.clock()), coalesce(%s, tvdb.clock()))",
                (*row[:2], service, account, space_id, run_id, self._now(), self._now()),
            )
        job_id, holder, count, size = row
        # A text of an earlier attempt of this transaction, whose commit was not confirmed, is not
        # the claimant's any more.
        owned = {
            found
            for (found,) in tx.execute(
                "SELECT text_sha256 FROM tvdb.text_claims WHERE space_id = %s AND holder = %s"
                " AND text_sha256 = ANY(%s) ORDER BY text_sha256 FOR UPDATE",
                (space_id, claimant, [text.sha256 for text in texts]),
            )
        }
        taken: list[TextSize] = []
        left = [text for text in texts if text.sha256 in owned]
        while left and count < limits.texts and (not count or size + left[0].bytes <= limits.bytes):
            taken.append(left.pop(0))
            count, size = count + 1, size + taken[-1].bytes
        hashes = [text.sha256 for text in taken]
        tx.execute(
            "UPDATE tvdb.text_claims SET holder = %s WHERE space_id = %s AND text_sha256 = ANY(%s)",
            (holder, space_id, hashes),
        )
        tx.execute(
            "INSERT INTO tvdb.embedding_batch_texts (job_id, text_sha256, tokens, bytes)"
            " SELECT %s, * FROM unnest(%s::bytea[], %s::int[], %s::int[])",
            (job_id, hashes, [text.tokens for text in taken], [text.bytes for text in taken]),
        )
        is_full = bool(left) or count >= limits.texts
        tx.execute(COUNT_TEXTS, {"job": job_id, "now": self._now()})
        if is_full:
            tx.execute(
                "UPDATE tvdb.embedding_batches SET state = 'ready' WHERE job_id = %s", (job_id,)
            )
        return left

    def seal(self, run_id: str | None = None, *, unchanged_for: timedelta | None = None) -> int:
        """End the collection of jobs, which are then ready to be submitted; returns how many.

        Args:
            run_id: those of this run; None means all runs.
            unchanged_for: only those that got no text for so long.
        """
        with self._database.transaction() as tx:
            return tx.execute(
                "UPDATE tvdb.embedding_batches SET state = 'ready',"
                " changed_at = coalesce(%(now)s, tvdb.clock())"
                " WHERE state = 'collecting' AND (%(run)s::text IS NULL OR run_id = %(run)s)"
                " AND changed_at <= coalesce(%(now)s, tvdb.clock()) - %(idle)s::interval",
                {"now": self._now(), "run": run_id, "idle": unchanged_for or timedelta(0)},
            ).rowcount

    def misses(self, space_id: int, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Those texts that a job returned without a vector, with the number of jobs that did."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT text_sha256, misses FROM tvdb.embedding_batch_returns"
                " WHERE space_id = %s AND text_sha256 = ANY(%s)",
                (space_id, list(hashes)),
            ).fetchall()
        return dict(rows)

    def waiting(
        self, space_id: int, chunk_set_ids: Sequence[int]
    ) -> dict[int, tuple[UUID, datetime, str]]:
        """Documents with a text in a job: its id, since when, and its service; by document id.

        Of several jobs, the newest.
        """
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT DISTINCT ON (c.document_id) c.document_id, j.job_id, j.created_at,"
                " j.service FROM tvdb.chunks c"
                " JOIN tvdb.embedding_batch_texts t USING (text_sha256)"
                " JOIN tvdb.embedding_batches j USING (job_id)"
                " WHERE c.chunk_set_id = ANY(%s) AND j.space_id = %s AND j.state <> 'done'"
                " ORDER BY c.document_id, j.created_at DESC",
                (list(chunk_set_ids), space_id),
            ).fetchall()
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def end_waits(self) -> int:
        """Make those documents due that wait for a job, and have no text in one that is not done.

        All documents that wait are read, so this is only done for half an hour after a job has
        ended, in which each run that has met the job records its documents, and if no job is left.

        Returns:
            The number of documents.
        """
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT NOT EXISTS (SELECT FROM tvdb.embedding_batches WHERE state <> 'done')"
                " OR EXISTS (SELECT FROM tvdb.embedding_batches WHERE ended_at >"
                "   coalesce(%s, tvdb.clock()) - interval '30 minutes')",
                (self._now(),),
            ).fetchone()
            if row is None or not row[0]:
                return 0
            rows = tx.execute(
                "SELECT d.document_id FROM tvdb.documents d WHERE d.status = %s"
                " AND d.error_code = %s AND NOT EXISTS (SELECT FROM tvdb.chunks c"
                "   JOIN tvdb.embedding_batch_texts t USING (text_sha256)"
                "   WHERE c.document_id = d.document_id)"
                # A container waits for what is inside it.
                " AND NOT EXISTS (SELECT FROM tvdb.documents m"
                "   JOIN tvdb.chunks c USING (document_id)"
                "   JOIN tvdb.embedding_batch_texts t USING (text_sha256)"
                "   WHERE m.partition_key = d.partition_key AND m.container_id IS NOT NULL)"
                " ORDER BY d.document_id",
                (DocumentStatus.DEFERRED.value, codes.BATCH_PENDING.code),
            ).fetchall()
            DocumentLifecycle(tx).apply_to([row[0] for row in rows], BatchEnded())
        return len(rows)

    def is_needed(self) -> bool:
        """Whether any job is not done, or a document may still wait for one."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT EXISTS (SELECT FROM tvdb.embedding_batches WHERE state <> 'done')"
                " OR EXISTS (SELECT FROM tvdb.documents WHERE status = %s AND error_code = %s)",
                (DocumentStatus.DEFERRED.value, codes.BATCH_PENDING.code),
            ).fetchone()
        return row is not None and bool(row[0])

    def summary(self) -> list[dict[str, Any]]:
        """The jobs that are not done, for people: one mapping for each, the oldest first."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT job_id, service, batch_id, state, status, texts, tokens, completed,"
                " created_at, submitted_at, run_id, waits_for, waits_message, is_cancelled"
                " FROM tvdb.embedding_batches WHERE state <> 'done' ORDER BY created_at, job_id"
            )
            names = [column.name for column in rows.description or ()]
            return [dict(zip(names, row, strict=True)) for row in rows]

    def _now(self) -> datetime | None:
        return self._clock() if self._clock is not None else None
