"""Which documents need work, why, and which of them a run was asked for already.

What belongs here: the one statement that decides what is due, when a failure is tried again, and
the marks by which planners keep out of each other's way. What does not: asking for runs
(`automation`), or the work.

Whoever plans holds `planning`, so that two planners never ask for the same document; and a
document that a run was asked for is not due again for `REQUEST_LASTS`, in which its run comes
to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from psycopg.rows import class_row

from tvdb_assets import error_codes as codes
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.rows import ReadSnapshot

REQUEST_LASTS = timedelta(minutes=10)
"""From asking for a run to its being on record, which takes seconds; more if the asker died."""
DEATHS = tuple(
    entry.code for entry in (codes.PARSER_CRASHED, codes.PARSE_MEMORY, codes.PARSE_TIMEOUT)
)
"""Errors of a document whose worker process was lost; another time it may go well."""
MOST_DEATHS = 3
"""After so many a document is poison, and is left alone until it or the parser changes."""
MOST_ATTEMPTS = 8
"""Of a document whose failure may pass: the eighth comes three days after the first."""
FIRST_RETRY = timedelta(minutes=5)
"""Until the second attempt; each further distance is four times the one before."""
LONGEST_RETRY = timedelta(days=1)


class Reason(StrEnum):
    """Why a document is due, the first one that holds."""

    WANTED = "wanted"
    """A person asked for it."""
    DEFERRED = "deferred"
    """It waited for a budget, a rate or a service, and that may have come."""
    CHANGED = "changed"
    """The source has other bytes than were read last."""
    MISSING = "missing"
    """Nothing is published of it yet."""
    FAILED = "failed"
    """It failed for a reason that may pass, and its next attempt is due."""
    DEGRADED = "degraded"
    """A stand-in made it."""
    STALE = "stale"
    """Another parser, chunker, model or setting made it."""
    UNSEEN = "unseen"
    """It is published, and Dagster shows its partition as missing."""


INTAKE = frozenset({Reason.WANTED, Reason.CHANGED, Reason.MISSING, Reason.FAILED, Reason.DEGRADED})
"""What is done as soon as it is seen. The rest may be much, and waits for the night."""


@dataclass(frozen=True, slots=True)
class DueDocument:
    """A document that needs work."""

    document_id: int
    partition_key: str
    source: str
    path: str
    reason: Reason
    run_id: str
    """The run that left it as it is."""


@dataclass(frozen=True, slots=True)
class BudgetWindows:
    """Since when what documents wait for may have come."""

    day: datetime
    """The budget's window began."""
    hour: datetime
    """The window of requests began."""
    changed: datetime
    """Limits or pauses were last changed."""
    now: datetime | None = None
    """By the same clock; None is the database's."""


class DueDocuments:
    """The documents of a database that need work."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    @contextmanager
    def planning(self, *, waits: bool = True) -> Iterator[bool]:
        """Hold the right to ask for runs, and to add, move and remove partitions.

        Args:
            waits: for who holds it now.

        Yields:
            Whether it is held; always, if it was waited for.
        """
        with self._database.session() as session:
            if waits:
                locks.acquire(session, locks.PLANNING.key())
            elif not locks.try_acquire(session, locks.PLANNING.key()):
                yield False
                return
            try:
                yield True
            finally:
                locks.release(session, [locks.PLANNING.key()])

    @contextmanager
    def planned(self) -> Iterator[None]:
        """Let others see that runs are to follow which Dagster does not know of yet.

        Their ranges name partitions, which must stay where they are; enter it in `planning`.
        """
        with (
            self._database.session() as session,
            locks.holding(session, [locks.PLANNED.key()], is_shared=True),
        ):
            yield

    def is_planned(self) -> bool:
        """Whether any process is in `planned`."""
        with self._database.transaction() as tx:
            return bool(locks.held(tx, [locks.PLANNED.key()]))

    def find(
        self,
        pipeline_fingerprint: str,
        windows: BudgetWindows,
        *,
        limits_fingerprint: str = "",
        reasons: frozenset[Reason] = frozenset(Reason),
        is_healing: bool = True,
        unseen: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[DueDocument]:
        """Documents that are due and that no run was asked for, nearly finished and oldest first.

        Args:
            pipeline_fingerprint: what would make them now; made by another, they are stale.
            windows: since when what they wait for may have come.
            limits_fingerprint: of the limits that hold now; refused by others, they are stale.
            reasons: which to look for.
            is_healing: whether the services are well that a stand-in stood in for.
            unseen: partition keys that Dagster shows as missing.
            limit: the most to return; None is all.
        """
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(DueDocument)) as cursor,
        ):
            cursor.execute(
                _DUE,
                {
                    "pipeline_fingerprints": [
                        pipeline_fingerprint,
                        limits_fingerprint + pipeline_fingerprint,
                    ],
                    "day": windows.day,
                    "hour": windows.hour,
                    "changed": windows.changed,
                    "now": windows.now,
                    "lasts": REQUEST_LASTS,
                    # A command's last run may start hours after it was planned.
                    "is_planned": self.is_planned(),
                    "reasons": [reason.value for reason in reasons],
                    "order": [reason.value for reason in Reason],
                    "is_healing": is_healing,
                    "unseen": list(unseen),
                    "limit": limit,
                },
            )
            return cursor.fetchall()

    def request(self, partition_keys: Sequence[str]) -> None:
        """Note that runs are being asked for; the end of a walk takes the note away."""
        with self._database.transaction() as tx:
            tx.execute(
                "UPDATE tvdb.documents SET run_requested_at = tvdb.clock()"
                " WHERE partition_key = ANY(%s) AND container_id IS NULL",
                (list(partition_keys),),
            )

    def want(self, document_ids: Sequence[int] | None = None, *, forgives: bool = True) -> int:
        """Ask for documents by hand; returns how many.

        Args:
            document_ids: which; None is all that failed.
            forgives: one in quarantine leaves it, and its attempts count from the start.
        """
        with self._database.transaction() as tx:
            return tx.execute(
                "UPDATE tvdb.documents SET manually_requested_at = tvdb.clock(),"
                " run_requested_at = NULL,"
                " quarantine = CASE WHEN %(forgives)s THEN NULL ELSE quarantine END,"
                " attempts = CASE WHEN %(forgives)s THEN 0 ELSE attempts END"
                " WHERE gone_at IS NULL"
                " AND CASE WHEN %(ids)s::bigint[] IS NULL THEN status = 'failed'"
                "   ELSE document_id = ANY(%(ids)s) END",
                {
                    "ids": None if document_ids is None else list(document_ids),
                    "forgives": forgives,
                },
            ).rowcount

    @contextmanager
    def run_lives(self, run_id: str) -> Iterator[None]:
        """Let others see that this run is being worked on, for as long as the process lives."""
        with (
            self._database.session() as session,
            locks.holding(session, [locks.run_key(run_id)], is_shared=True),
        ):
            yield

    def alive(self, run_ids: Sequence[str]) -> set[str]:
        """Which of these runs a process is working on."""
        by_key = {locks.run_key(run_id): run_id for run_id in run_ids}
        with self._database.transaction() as tx:
            return {by_key[key] for key in locks.held(tx, list(by_key))}


def end_walk(tx: Connection, document_ids: Sequence[int], seen: ReadSnapshot) -> None:
    """Note what a walk read of documents, and that nothing is due of them.

    In the transaction that says how it ended. What was changed or asked for meanwhile stays due.
    """
    # In order, as whoever locks many documents does.
    tx.execute(
        "SELECT FROM tvdb.documents WHERE document_id = ANY(%s)"
        " ORDER BY document_id FOR NO KEY UPDATE",
        (list(document_ids),),
    )
    read = [seen.read.get(i, (None, None)) for i in document_ids]
    tx.execute(
        "UPDATE tvdb.documents d SET size = coalesce(n.size, d.size),"
        " etag = coalesce(n.etag, d.etag), sha256 = coalesce(n.sha256, d.sha256),"
        # One that was noted meanwhile has another etag, and is found by that at the next look.
        " is_changed = is_changed AND n.etag IS NULL,"
        " manually_requested_at ="
        "   CASE WHEN manually_requested_at > %s THEN manually_requested_at END,"
        " quarantine = NULL, next_attempt_at = NULL, run_requested_at = NULL"
        " FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bytea[])"
        " AS n(document_id, size, etag, sha256) WHERE d.document_id = n.document_id",
        (
            seen.began_at,
            list(document_ids),
            [file.size if file is not None else None for file, _ in read],
            [file.etag if file is not None else None for file, _ in read],
            [sha256 for _, sha256 in read],
        ),
    )


def schedule_attempts(tx: Connection, document_ids: Sequence[int]) -> None:
    """Decide of documents that failed just now when they are tried again, or that they are not."""
    tx.execute(
        "UPDATE tvdb.documents SET quarantine = CASE"
        "   WHEN error_code = ANY(%(deaths)s)"
        "   THEN CASE WHEN attempts >= %(most_deaths)s THEN 'poison' END"
        "   WHEN disposition = 'terminal' THEN 'terminal'"
        "   WHEN attempts >= %(most)s THEN 'attempts' END,"
        " next_attempt_at = tvdb.clock()"
        "   + least(%(first)s::interval * power(4, least(attempts, 12) - 1), %(longest)s::interval)"
        " WHERE document_id = ANY(%(documents)s) AND status = 'failed'",
        {
            "documents": list(document_ids),
            "deaths": list(DEATHS),
            "most_deaths": MOST_DEATHS,
            "most": MOST_ATTEMPTS,
            "first": FIRST_RETRY,
            "longest": LONGEST_RETRY,
        },
    )


# What a document that waits is waiting for decides when it is due.
_WAITED_ENOUGH = f"""CASE error_code
    WHEN '{codes.BUDGET_EXHAUSTED.code}' THEN greatest(%(day)s, %(changed)s)
    WHEN '{codes.HOURLY_REQUESTS_EXHAUSTED.code}' THEN greatest(%(hour)s, %(changed)s)
    WHEN '{codes.PAUSED.code}' THEN %(changed)s
    WHEN '{codes.BREAKER_OPEN.code}' THEN coalesce(%(now)s, tvdb.clock()) - interval '1 minute'
    WHEN '{codes.RATE_LIMITED.code}' THEN coalesce(%(now)s, tvdb.clock()) - interval '1 minute'
    -- Key or quota refused: somebody has to act, so it is asked now and then.
    ELSE greatest(coalesce(%(now)s, tvdb.clock()) - interval '15 minutes', %(changed)s) END"""

# What is inside of a file is made again with it, so a file is due for the first reason of all.
_DUE = f"""
SELECT f.document_id, f.partition_key, f.source, f.path, n.reason, f.run_id FROM (
    SELECT partition_key,
        (array_agg(reason ORDER BY array_position(%(order)s, reason)))[1] AS reason
    FROM (
        SELECT partition_key, CASE
            WHEN manually_requested_at IS NOT NULL THEN 'wanted'
            WHEN status = 'deferred' AND deferred_at < {_WAITED_ENOUGH} THEN 'deferred'
            WHEN is_changed THEN 'changed'
            WHEN status = 'registered' THEN 'missing'
            WHEN status = 'failed' AND quarantine IS NULL
                AND coalesce(next_attempt_at <= tvdb.clock(), true) THEN 'failed'
            WHEN status = 'published' AND is_degraded AND %(is_healing)s THEN 'degraded'
            WHEN (status = 'published' AND NOT is_degraded OR quarantine IS NOT NULL)
                AND pipeline_fingerprint <> ALL(%(pipeline_fingerprints)s) THEN 'stale'
            WHEN status = 'published' AND partition_key = ANY(%(unseen)s) THEN 'unseen'
        END AS reason
        FROM tvdb.documents WHERE gone_at IS NULL
    ) asked
    WHERE reason = ANY(%(reasons)s) GROUP BY partition_key
) n
JOIN tvdb.documents f ON f.partition_key = n.partition_key AND f.container_id IS NULL
WHERE f.gone_at IS NULL
  AND (f.run_requested_at IS NULL
    OR f.run_requested_at < tvdb.clock() - %(lasts)s::interval AND NOT %(is_planned)s)
ORDER BY CASE
    WHEN EXISTS (SELECT FROM tvdb.chunk_sets k WHERE k.document_id = f.document_id) THEN 0
    WHEN EXISTS (SELECT FROM tvdb.parsed_documents p WHERE p.document_id = f.document_id)
    THEN 1 ELSE 2 END, f.document_id
LIMIT %(limit)s
"""
