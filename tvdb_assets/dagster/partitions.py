"""Dagster's partitions of documents: adding, grouping in ranges, and removing unused ones.

What belongs here: the mapping between documents that need work and runs of Dagster. What does not:
which documents those are (`repositories.due_documents`), or when they are planned (sensors,
schedules, `ingest`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from tvdb_assets.core.partition_ranges import adjacent_ranges, partition_ranges
from tvdb_assets.dagster import compat
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.storage.instance_storage import BatchingEventLogStorage
from tvdb_assets.dagster.storage.run_launcher import (
    IN_PROCESS_TAG,
    WatchesStarts,
    is_command_run,
)
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.due_documents import DueDocuments
from tvdb_assets.telemetry import LAUNCHER_SILENT, log_event

NAME = "documents"
_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
_RUNNING = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_STARTS_WITHIN = timedelta(minutes=5)
"""Time after which a started run must hold its lock; otherwise its process is gone."""
_ADDED_AT_ONCE = 10_000
_OUR_LAUNCHERS = "tvdb_assets."
_START, _END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class DocumentPartitions:
    """Reads and changes the partitions ``documents``; change them in `DueDocuments.planning`."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        due: DueDocuments,
        names: DefinitionNames = DefinitionNames(),  # noqa: B008
    ) -> None:
        """Nothing is read yet.

        Args:
            instance: the Dagster instance.
            due: the documents.
            names: keys of the assets that have these partitions.
        """
        self._instance = instance
        self.assets = names.document_assets
        self._due = due

    def add(self, keys: Sequence[str]) -> None:
        """Add partitions; existing ones keep their position."""
        for start in range(0, len(keys), _ADDED_AT_ONCE):
            self._instance.add_dynamic_partitions(NAME, keys[start : start + _ADDED_AT_ONCE])

    def missing(self) -> set[str]:
        """Partitions that Dagster does not show as materialized in each of the three assets."""
        present = set(self._instance.get_dynamic_partitions(NAME))
        materialized = set(present)
        for asset in self.assets:
            materialized &= self._instance.get_materialized_partitions(asset)
        return present - materialized

    def under_way(self) -> set[str]:
        """Partitions of runs that are queued or active, and of backfills that will request them."""
        return self.in_runs().union(self._backfill_partitions())

    def in_runs(self) -> set[str]:
        """Partitions of runs that are queued or active.

        A run whose process was killed may stay "starting" or "started" in Dagster forever. So a
        started run counts only while its process is alive.
        """
        return set(self._keys_of(list(self._tags_of_runs())))

    def of_run(self, tags: Mapping[str, str]) -> list[str]:
        """The partitions of a run with these tags that still exist, in Dagster's order."""
        return list(self._keys_of([tags]))

    def _keys_of(self, runs: Sequence[Mapping[str, str]]) -> Iterator[str]:
        """The partitions of runs with these tags."""
        ranges: list[tuple[str, str]] = []
        for tags in runs:
            if (only := tags.get("dagster/partition")) is not None:
                yield only
            elif (first := tags.get(_START)) is not None:
                ranges.append((first, tags[_END]))
        yield from self._keys_of_ranges(ranges)

    def _keys_of_ranges(self, ranges: Sequence[tuple[str, str]]) -> Iterator[str]:
        """The keys of ranges, each from its first to its last key.

        If the last partition of a range is gone, all that follow may belong to it.
        """
        storage = self._batching_storage()
        if storage is not None:
            for first, last in ranges:
                yield from storage.partitions_between(NAME, first, last)
            return
        ordered = self._instance.get_dynamic_partitions(NAME) if ranges else ()
        place = {key: i for i, key in enumerate(ordered)}
        for first, last in ranges:
            if first in place:
                yield from ordered[place[first] : place.get(last, len(ordered)) + 1]

    def _tags_of_runs(self) -> Iterator[Mapping[str, str]]:
        waiting = self._instance.get_runs(dg.RunsFilter(statuses=_WAITING))
        # A run that a command executes is never queued: it starts at once, or was killed before.
        yield from (run.tags for run in waiting if not is_command_run(run))
        started = self._instance.get_run_records(dg.RunsFilter(statuses=_RUNNING))
        records = [*started, *self._command_runs()]
        dead = {record.dagster_run.run_id for record in self._dead(records)}
        yield from (r.dagster_run.tags for r in records if r.dagster_run.run_id not in dead)

    def fail_dead_runs(self) -> list[str]:
        """Mark as failed the active runs whose process is gone; returns the run ids.

        Dagster notices this for itself only if the process that started the run is left.
        """
        started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        ours = [r for r in self._instance.get_run_records(started) if self._has_only_documents(r)]
        dead = [record.dagster_run for record in self._dead([*self._command_runs(), *ours])]
        dead += self._lost_before_start()
        for run in dead:
            self._instance.report_run_failed(run, "The process that executed it is gone.")
        return [run.run_id for run in dead]

    def _lost_before_start(self) -> list[dg.DagsterRun]:
        """Runs whose worker was lost after it took the run, and before the run started."""
        if not compat.launcher_module(self._instance).startswith(_OUR_LAUNCHERS):
            return []
        is_starting = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])
        starting = self._instance.get_runs(is_starting)
        if not starting:
            return []
        try:
            launcher = self._instance.run_launcher
            if not isinstance(launcher, WatchesStarts):
                return []
            lost = [run.run_id for run in starting if launcher.is_lost_before_start(run)]
        except Exception as error:  # of any broker, which the next tick asks again
            kind = type(error).__name__
            log_event(LAUNCHER_SILENT, f"The launcher can't be asked: {kind}.", {"code": kind})
            return []
        # A run that failed at once was not lost.
        left = dg.RunsFilter(statuses=is_starting.statuses, run_ids=lost)
        return list(self._instance.get_runs(left)) if lost else []

    def _has_only_documents(self, record: dg.RunRecord) -> bool:
        """Whether a run has no step but the one that holds the lock of the run."""
        selected = record.dagster_run.asset_selection or frozenset()
        newest = self._instance.get_records_for_run(
            record.dagster_run.run_id, limit=1, ascending=False
        ).records
        is_silent = all(
            time.time() - each.event_log_entry.timestamp > _STARTS_WITHIN.total_seconds()
            for each in newest
        )
        return bool(selected) and selected <= set(self.assets) and is_silent

    def _command_runs(self) -> Sequence[dg.RunRecord]:
        """Unfinished runs that commands execute, or were about to execute, in their own process."""
        tagged = dg.RunsFilter(statuses=[*_WAITING, *_RUNNING], tags={IN_PROCESS_TAG: "true"})
        records = self._instance.get_run_records(tagged)
        return [record for record in records if is_command_run(record.dagster_run)]

    def _dead(self, records: Sequence[dg.RunRecord]) -> list[dg.RunRecord]:
        """The runs that no process is executing or may still start."""
        alive = self._due.live_runs([record.dagster_run.run_id for record in records])
        young = (datetime.now(UTC) - _STARTS_WITHIN).timestamp()
        return [
            record
            for record in records
            if record.dagster_run.run_id not in alive
            # The launch is the last change of a launched run; it may have been queued for hours.
            and (record.start_time or record.update_timestamp.timestamp()) <= young
        ]

    def _backfill_partitions(self) -> Iterator[str]:
        for backfill in compat.requested_backfills(self._instance):
            yield from compat.partitions_left(backfill, self.assets)

    def ranges(
        self, keys: Sequence[str], most: int, *, under_way: Collection[str]
    ) -> list[list[str]]:
        """Group partitions in the fewest ranges: the keys of each range, in Dagster's order.

        Partitions that are not adjacent are moved to the end, in the order of ``keys``. Partitions
        that an active run needs are not moved. None is moved while a command has planned runs.

        Args:
            keys: partition keys, the most urgent first.
            most: maximum number of keys in a range.
            under_way: the result of `under_way`.
        """
        storage = self._batching_storage()
        if storage is None:
            ordered = self._instance.get_dynamic_partitions(NAME)
            return partition_ranges(ordered, set(keys), most)
        places = storage.partition_places(NAME, keys)
        movable = [key for key in keys if key in places and key not in under_way]
        found = adjacent_ranges(places, most)
        are_many = len(found) > -(-len(places) // most)
        if are_many and not self._due.is_planned():
            storage.move_partitions_to_end(NAME, movable)
            found = adjacent_ranges(storage.partition_places(NAME, keys), most)
        return found

    def drop_removed(self, deletion: DocumentDeletion) -> None:
        """Delete the partitions of deleted documents that no run needs any more.

        A run refers to a range by its first and last key, and can't start without them.
        """
        removed = deletion.removed_partitions()
        if not removed or self._due.is_planned():
            return
        under_way = self.under_way()
        unused = [key for key in removed if key not in under_way]
        storage = self._batching_storage()
        if storage is not None:
            storage.delete_partitions(NAME, unused)
        else:
            for key in unused:
                self._instance.delete_dynamic_partition(NAME, key)
        deletion.confirm_removed_partitions(unused)

    def _batching_storage(self) -> BatchingEventLogStorage | None:
        """The project's storage if the instance uses it and it supports batches; otherwise None."""
        storage = self._instance.event_log_storage
        if isinstance(storage, BatchingEventLogStorage) and storage.changes_partitions_in_batches():
            return storage
        return None
