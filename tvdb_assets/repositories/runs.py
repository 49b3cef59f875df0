"""Runs that walk documents: which they are retries of, when they began and ended.

What belongs here: statements on `tvdb.runs`. What does not: what happened in a run (`story`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tvdb_assets.repositories.database import Database


@dataclass(frozen=True, slots=True)
class Run:
    """A run and where it comes from."""

    run_id: str
    root_run_id: str | None = None
    """The first of its retries; None where it is none."""
    parent_run_id: str | None = None
    """The run that this one is a retry of."""
    backfill_id: str | None = None


@contextmanager
def recorded(database: Database, run: Run) -> Iterator[None]:
    """Note that a run is under way, and at the end of the block that it ended."""
    with database.transaction() as tx:
        # A step that is tried again goes on under the same id.
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
