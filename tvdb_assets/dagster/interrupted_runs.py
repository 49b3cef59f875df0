"""Runs that ended before their documents were processed, and what their backfill still needs.

What belongs here: finding what Dagster gave up: runs whose process is gone and that nobody reports
as failed, and runs of a backfill that Dagster does not retry any more, or could not. What does not:
requesting runs (`reconciler`), or the failure of a document, which its row records.

Dagster gives up a run if its code server can't be reached when the run is retried, or after a few
retries, and then the backfill. But nothing is wrong with the documents. So while such a run has
documents left, `storage.instance_storage` reports the backfill as unfinished, and each tick of
`document_intake` requests runs for them that count for the backfill.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from tvdb_assets.dagster import compat
from tvdb_assets.dagster.backfill_tags import RESUMED_TAG, RESUMES_TAG, backfill_tags
from tvdb_assets.dagster.definition_names import is_document_asset
from tvdb_assets.dagster.partitions import DocumentPartitions
from tvdb_assets.lifecycle import DocumentStatus
from tvdb_assets.repositories.due_documents import DueDocuments

MAX_RESUMES = 10
"""Runs that are requested for the documents of one interrupted run. Each is retried by Dagster."""
RETRY_WITHIN_SECONDS = 120.0
"""Time after which a run that Dagster was about to retry is not retried any more."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The documents of a run of a backfill that are neither materialized nor failed."""

    run_id: str
    keys: Sequence[str]
    tags: Mapping[str, str]
    """Tags of a run that continues it: of its backfill, and `RESUMES_TAG`."""


def interrupted_runs(
    instance: dg.DagsterInstance,
    backfill: compat.Backfill,
    partitions: DocumentPartitions,
    due: DueDocuments,
    in_runs: Collection[str],
) -> Iterator[Interrupted]:
    """The interrupted runs of a backfill that have documents which no active run has.

    A run without such documents gets `RESUMED_TAG`, so that its backfill can end.

    Args:
        instance: the Dagster instance.
        backfill: an active backfill.
        partitions: the partitions of documents.
        due: the documents.
        in_runs: partitions of queued and active runs; it may grow between two results.
    """
    given_up = _given_up(instance, backfill.backfill_id)
    if not given_up or _belongs_to_others(backfill, partitions.assets):
        return
    targets = compat.partitions_not_materialized(backfill, partitions.assets)
    for run in given_up:
        keys = partitions.of_run(run.tags)
        done = _done(instance, due, keys, backfill, partitions.assets)
        left = [key for key in keys if key not in done and key in targets]
        resumes = instance.get_runs_count(dg.RunsFilter(tags={RESUMES_TAG: run.run_id}))
        if not left or resumes >= MAX_RESUMES:
            # A retry that Dagster still announces will not come.
            tags = {RESUMED_TAG: "true", compat.WILL_RETRY_TAG: "false"}
            instance.add_run_tags(run.run_id, tags)
        elif idle := [key for key in left if key not in in_runs]:
            instance.add_run_tags(run.run_id, {compat.WILL_RETRY_TAG: "false"})
            tags = {**backfill_tags(backfill), RESUMES_TAG: run.run_id}
            yield Interrupted(run.run_id, idle, tags)


def _done(
    instance: dg.DagsterInstance,
    due: DueDocuments,
    keys: Sequence[str],
    backfill: compat.Backfill,
    assets: Sequence[dg.AssetKey],
) -> set[str]:
    """The documents that a run of the backfill has failed, deferred, or published and reported.

    A run may be killed after it published a document and before Dagster had its events. Dagster
    itself adds up what is materialized only when it next evaluates the backfill.
    """
    processed = due.processed_in_backfill(keys, backfill.backfill_id)
    published = {run for run, status in processed.values() if status is DocumentStatus.PUBLISHED}
    wanted = compat.target_assets(backfill).intersection(assets)
    reported = {run: compat.materialized_in_run(instance, run, wanted) for run in published}
    return {
        key
        for key, (run, status) in processed.items()
        if status is not DocumentStatus.PUBLISHED or key in reported[run]
    }


def _belongs_to_others(backfill: compat.Backfill, assets: Sequence[dg.AssetKey]) -> bool:
    """Whether other definitions have the documents of a backfill; their sensor continues it."""
    targets = compat.target_assets(backfill)
    return targets.isdisjoint(assets) and any(is_document_asset(key) for key in targets)


def _given_up(instance: dg.DagsterInstance, backfill_id: str) -> list[dg.DagsterRun]:
    """Failed runs of a backfill that no document made fail, and that Dagster does not retry."""
    failed = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.FAILURE], tags={compat.BACKFILL_ID_TAG: backfill_id}
        )
    )
    late = time.time() - RETRY_WITHIN_SECONDS
    return [
        record.dagster_run
        for record in failed
        if is_given_up(record.dagster_run.tags)
        and (
            record.dagster_run.tags.get(compat.WILL_RETRY_TAG) == "false"
            or record.update_timestamp.timestamp() < late
        )
    ]


def is_given_up(tags: Mapping[str, str]) -> bool:
    """Whether a failed run with these tags was interrupted, and not continued by another one."""
    is_step_failure = tags.get(compat.RUN_FAILURE_REASON_TAG) == "STEP_FAILURE"
    return (
        not (is_step_failure and tags.get(compat.RETRY_ON_FAILURE_TAG) != "true")
        and compat.AUTO_RETRY_RUN_ID_TAG not in tags
        and RESUMED_TAG not in tags
        # The run that it continues is the one that counts.
        and RESUMES_TAG not in tags
    )
