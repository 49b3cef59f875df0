"""Stored evaluations of search: what each run measured.

What belongs here: the statements. What does not: the measures (`retrieval.evaluation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from tvdb_assets.repositories.database import Database


@dataclass(frozen=True, slots=True)
class StoredMeasure:
    """A measure of one ranking of one index, with its 95 % interval."""

    run_id: str
    index_id: int
    ranking: str
    """``words``, ``vectors`` or ``both``."""
    measure: str
    mean: float
    low: float
    high: float
    queries: int
    """Number of questions."""
    queries_sha256: bytes
    """SHA-256 of the file of questions."""
    evaluated_at: datetime


class EvaluationStore:
    """The evaluations of one database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def save(self, measures: Sequence[StoredMeasure]) -> None:
        """Store the measures of a run; those of an earlier attempt of it are replaced."""
        with self._database.transaction() as tx, tx.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO tvdb.retrieval_evaluations (run_id, index_id, ranking, measure, mean,"
                " low, high, queries, queries_sha256, evaluated_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (run_id, index_id, ranking, measure) DO UPDATE SET"
                " mean = excluded.mean, low = excluded.low, high = excluded.high,"
                " queries = excluded.queries, queries_sha256 = excluded.queries_sha256,"
                " evaluated_at = excluded.evaluated_at",
                [
                    (
                        *(m.run_id, m.index_id, m.ranking, m.measure, m.mean, m.low, m.high),
                        *(m.queries, m.queries_sha256, m.evaluated_at),
                    )
                    for m in measures
                ],
            )

    def history(self, measure: str, queries_sha256: bytes, limit: int) -> list[StoredMeasure]:
        """The newest values of a measure for one file of questions, the oldest first.

        Args:
            measure: its name.
            queries_sha256: digest of the file; values of other files are not comparable.
            limit: maximum number of values.
        """
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(StoredMeasure)) as cursor,
        ):
            rows = cursor.execute(
                "SELECT run_id, index_id, ranking, measure, mean, low, high, queries,"
                " queries_sha256, evaluated_at FROM tvdb.retrieval_evaluations"
                " WHERE measure = %s AND queries_sha256 = %s"
                " ORDER BY evaluated_at DESC, ranking LIMIT %s",
                (measure, queries_sha256, limit),
            ).fetchall()
        return rows[::-1]
