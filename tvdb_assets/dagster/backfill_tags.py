"""Which backfill a document waits in, so that the run that processes it completes the backfill.

Dagster counts for a backfill only the materializations of runs that have the backfill's tag. So a
run of a document that a backfill left waiting gets that tag.

What belongs here: finding the backfill. What does not: which documents are due (`cost_sensor`,
`ingest`).
"""

from collections.abc import Mapping

import dagster as dg

from tvdb_assets.dagster.compat import BACKFILL_ID_TAG, Backfill


def group_by_backfill(
    instance: dg.DagsterInstance, waiting: Mapping[str, str]
) -> list[tuple[Backfill | None, set[str]]]:
    """Documents by the backfill that they wait in; None for those of other runs.

    Args:
        instance: Dagster's.
        waiting: partition key, and the run that left the document waiting.
    """
    if not waiting:
        return []
    runs = instance.get_runs(dg.RunsFilter(run_ids=sorted(set(waiting.values()))))
    backfills = {run.run_id: run.tags.get(BACKFILL_ID_TAG) for run in runs}
    grouped: dict[str | None, set[str]] = {}
    for key, run_id in waiting.items():
        grouped.setdefault(backfills.get(run_id), set()).add(key)
    return [
        (instance.get_backfill(backfill_id) if backfill_id else None, keys)
        for backfill_id, keys in grouped.items()
    ]


def backfill_tags(backfill: Backfill | None) -> dict[str, str]:
    """The tags of a run that counts for this backfill."""
    return {BACKFILL_ID_TAG: backfill.backfill_id} if backfill is not None else {}
