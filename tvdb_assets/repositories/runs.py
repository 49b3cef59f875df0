"""Ingestion runs: their start, end and retries.

What belongs here: statements on `tvdb.runs`. What does not: the events of a run
(`reporting.run_history`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tvdb_assets.repositories.database import Database


@dataclass(frozen=True, slots=True)
class Run:
    """A run and its origin."""

    run_id: str
    root_run_id: str | None = None
    """The first run of its chain of retries; None if it is not a retry."""
    parent_run_id: str | None = None
    """The run that this one is a retry of."""
    backfill_id: str | None = None


@contextmanager
def record_run(database: Database, run: Run) -> Iterator[None]:
    """Record the start of a run, and its end when the block ends."""
    with database.transaction() as tx:
        # A step that Dagster retries has the same run id.
        tx.execute(
            "INSERT INTO tvdb.runs (run_id, root_run_id, parent_run_id, backfill_id)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (run_id) DO UPDATE SET ended_at = NULL",
            (run.run_id, run.root_run_id or run.run_id, run.parent_run_id, run.backfill_id),
        )
    try:
        yield
    finally:
        with database.transaction() as tx:
            tx.execute(
                "UPDATE tvdb.runs SET ended_at = tvdb.clock() WHERE run_id = %s", (run.run_id,)
            )
