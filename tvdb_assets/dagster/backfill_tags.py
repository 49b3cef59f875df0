"""Tags by which a run of deferred documents counts for the backfill that deferred them.

Dagster counts only materializations of runs with the backfill's tag as part of the backfill. So a
run of documents that a backfill deferred gets this tag.

What belongs here: finding the backfill. What does not: which documents are due (`cost_sensor`,
`ingest`).
"""

from collections.abc import Mapping

import dagster as dg

from tvdb_assets.dagster.compat import BACKFILL_ID_TAG, Backfill

RESUMES_TAG = "tvdb/resumes"
"""Tag of a run: the id of the run whose documents it processes."""
RESUMED_TAG = "tvdb/resumed"
"""Tag of a run that has no documents left, or too many attempts."""


def group_by_backfill(
    instance: dg.DagsterInstance, waiting: Mapping[str, str]
) -> list[tuple[Backfill | None, set[str]]]:
    """Group deferred documents by the backfill that deferred them; None for other runs.

    Args:
        instance: the Dagster instance.
        waiting: the run that deferred each document, by partition key.
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
