"""Brings Dagster and the index in line with the source: which documents need a run, and which runs.

What belongs here: scanning the source, planning the documents that are due, and the ranges of
partitions to request runs for. What does not: when (`document_intake`, `nightly_catch_up`), the
runs, or the statements (`repositories.due_documents`, `repositories.deletion`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.partition_ranges import range_tags
from tvdb_assets.correlation import new_run_id
from tvdb_assets.dagster import compat
from tvdb_assets.dagster.backfill_tags import backfill_tags, group_by_backfill
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.interrupted_runs import interrupted_runs
from tvdb_assets.dagster.partitions import DocumentPartitions
from tvdb_assets.dagster.source_scanner import IntakeSummary, SourceScanner, TimeLimit
from tvdb_assets.error_boundaries import redacting_errors
from tvdb_assets.lifecycle import BudgetWindows, Reason
from tvdb_assets.models import SourceFile
from tvdb_assets.reporting.budget_alerts import budget_pace
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.due_documents import DueDocument, DueDocuments
from tvdb_assets.routing.paid_services import paid_services, spend_limits_of
from tvdb_assets.routing.service_clients import ServiceClients, recall_traits
from tvdb_assets.settings import Settings
from tvdb_assets.sources.source import Source, source_root
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.spend_guard.spend_limits import changes

TAG = "tvdb/requested_by"
MAX_RUNS_PER_TICK = 25
"""Maximum number of runs that one tick requests; the next ticks request the others."""
SCAN_SECONDS = 15.0
"""Time of one tick for the scan of the source. Dagster ends a tick after 60 seconds; the rest is
for planning, and for the end of the page that is processed."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run to request."""

    keys: Sequence[str]
    """Its partitions, in Dagster's order."""
    tags: Mapping[str, str]
    """Tags with its partitions and with its backfill."""


class Reconciler:
    """Reconciles one Dagster instance and one database; use it in `DueDocuments.planning`."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        instance: dg.DagsterInstance,
        names: DefinitionNames | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            settings: the settings.
            database: their database.
            instance: the Dagster instance.
            names: keys and names of the definitions; None means those of the settings.
        """
        self.settings = settings
        self.names = names or DefinitionNames.of(settings)
        self.database = database
        self.registry = DocumentRegistry(database)
        self.due = DueDocuments(database)
        self.deletion = DocumentDeletion(database)
        self.instance = instance
        self.partitions = DocumentPartitions(instance, self.due, self.names)

    @classmethod
    @contextmanager
    def open(
        cls, settings: Settings, instance: dg.DagsterInstance, names: DefinitionNames | None = None
    ) -> Iterator[Reconciler]:
        """Open the database of the settings, and close it at the end of the block.

        The arguments are those of the class.

        Raises:
            StorageError: the database can't be used.
        """
        with redacting_errors(), Database.open(settings) as database:
            yield cls(settings, database, instance, names)

    def scan_source(
        self, source: Source, most: int, limit: TimeLimit | None = None
    ) -> IntakeSummary:
        """Continue the scan of a source, or start one; see `SourceScanner.scan`.

        Args:
            source: it is listed, none of it is read.
            most: new and changed documents after which the next scan continues.
            limit: the time after which the next scan continues; None means `SCAN_SECONDS`.

        Raises:
            ConfigurationError: the source can't be listed, or all known files are gone.
        """
        self.update_partition_keys(source)
        scanner = SourceScanner(self.database, self.settings, self.add)
        summary = scanner.scan(source, most, limit or TimeLimit(SCAN_SECONDS))
        if summary.is_complete:
            self.partitions.drop_removed(self.deletion)
        return summary

    def update_partition_keys(self, source: Source) -> None:
        """Change the partition keys of paths that are now private, or no longer private."""
        moved = self.registry.update_partition_keys(source.root)
        if moved:
            self.partitions.add(list(moved.values()))
            self.partitions.drop_removed(self.deletion)

    def add(self, source: Source, files: Sequence[SourceFile]) -> list[str]:
        """Register documents and add their partitions; returns the partition keys."""
        keys = self.registry.register(source.root, files, run_id="")
        self.partitions.add(keys)
        return keys

    def plan(self, reasons: frozenset[Reason], limit: int | None = None) -> list[DueDocument]:
        """Documents of the current source that are due and in no queued or active run.

        Args:
            reasons: the reasons to include.
            limit: maximum number of documents; None means all.
        """
        clients = ServiceClients(self.settings)
        recall_traits(clients, lambda: ServiceStates(self.database))
        pipeline_fingerprint = clients.pipeline_fingerprint(
            Chunker(self.settings.chunk_tokens, self.settings.chunk_overlap_tokens)
        )
        can_retry_degraded = not clients.pays or paid_services_are_available(
            ServiceStates(self.database), self.settings
        )
        return self.due.find(
            pipeline_fingerprint,
            self._windows(),
            limits_fingerprint=self.settings.limits_fingerprint,
            reasons=reasons,
            can_retry_degraded=can_retry_degraded,
            not_in_dagster=sorted(self.partitions.missing())
            if Reason.NOT_IN_DAGSTER in reasons
            else (),
            source=source_root(self.settings.source),
            excluding=self.partitions.under_way(),
            limit=limit,
        )

    @property
    def documents_per_tick(self) -> int:
        """Maximum number of documents for which one tick requests runs."""
        return self.settings.run_partitions * MAX_RUNS_PER_TICK

    def release_requests(self, requested_by: str) -> None:
        """Make documents due again whose run was requested, and does not exist.

        Call it at the start of a tick that Dagster's daemon evaluates. The daemon creates the runs
        of a tick before it evaluates the same sensor again. So whatever this sensor requested is
        now a run, which `plan` leaves alone, or was lost with its tick.

        Args:
            requested_by: the name of the sensor.
        """
        self.due.release_run_requests(requested_by)

    def run_requests(
        self,
        due: Sequence[DueDocument],
        requested_by: str,
        *,
        most_runs: int | None = MAX_RUNS_PER_TICK,
        resumes: bool = False,
    ) -> list[dg.RunRequest]:
        """Create the fewest run requests for these documents, and record them.

        Args:
            due: the documents.
            requested_by: the value of the runs' `TAG`.
            most_runs: maximum number of runs; the other documents stay due. None means no limit.
            resumes: whether only deferred documents are processed; see `runs`.
        """
        keys = [document.partition_key for document in due]
        if most_runs is not None:
            keys = keys[: self.settings.run_partitions * most_runs]
        requested = self.runs(keys, resumes=resumes)[:most_runs]
        self.due.note_run_requests(
            [key for run in requested for key in run.keys], requested_by=requested_by
        )
        return [
            # A schedule identifies its runs by this key; no two requests are the same.
            dg.RunRequest(run_key=new_run_id(), tags={**run.tags, TAG: requested_by})
            for run in requested
        ]

    def resume_interrupted(self, requested_by: str) -> list[dg.RunRequest]:
        """Requests runs for what active backfills lost; see `interrupted_runs`.

        Args:
            requested_by: the value of the runs' `TAG`.
        """
        self.partitions.fail_dead_runs()
        in_runs: set[str] | None = None
        requests: list[dg.RunRequest] = []
        for backfill in compat.requested_backfills(self.instance):
            in_runs = self.partitions.in_runs() if in_runs is None else in_runs
            for found in interrupted_runs(
                self.instance, backfill, self.partitions, self.due, in_runs
            ):
                keys = found.keys[: self.documents_per_tick]
                in_runs.update(keys)
                for neighbours in self.partitions.ranges(
                    keys, self.settings.run_partitions, under_way=self.partitions.under_way()
                )[:MAX_RUNS_PER_TICK]:
                    tags = {**range_tags(neighbours), **found.tags, TAG: requested_by}
                    requests.append(dg.RunRequest(run_key=new_run_id(), tags=tags))
        return requests

    def runs(self, keys: Sequence[str], *, resumes: bool = False) -> list[PlannedRun]:
        """Plan the fewest runs for exactly these partitions, within the limits of the settings.

        A document that waits in a backfill gets a run that counts for the backfill.

        Args:
            keys: partition keys, the most urgent first.
            resumes: whether documents that a cancelled backfill deferred are excluded.
        """
        if not keys:
            return []
        unique = list(dict.fromkeys(keys))
        self.partitions.add(unique)
        under_way = self.partitions.under_way()
        waiting = group_by_backfill(self.instance, self.registry.deferring_runs(unique))
        groups = [
            (backfill_tags(backfill), keys)
            for backfill, keys in waiting
            if backfill is not None and compat.is_requested(backfill)
        ]
        grouped = [keys for _, keys in groups]
        if resumes:
            grouped += [
                keys
                for backfill, keys in waiting
                if backfill is not None and compat.is_cancelled(backfill)
            ]
        groups.append(({}, set(unique).difference(*grouped)))
        return [
            PlannedRun(neighbours, {**range_tags(neighbours), **tags})
            for tags, group in groups
            for neighbours in self.partitions.ranges(
                [key for key in unique if key in group],
                self.settings.run_partitions,
                under_way=under_way,
            )
        ]

    def _windows(self) -> BudgetWindows:
        ledger = Ledger(self.database, spend_limits_of(self.settings))
        now = budget_pace(self.database, ledger)
        newest = changes(self.database, limit=1)
        hour = ledger.requests_renewed_at(paid_services(self.settings))
        return BudgetWindows(now.day, hour, newest[0].changed_at if newest else now.day)


def is_evaluated_by_daemon(context: dg.SensorEvaluationContext) -> bool:
    """Whether Dagster evaluates a tick of a sensor that is turned on, and not a test or a person.

    Dagster evaluates one tick of a sensor at a time, and creates its runs before the next one.
    """
    return context.last_sensor_start_time is not None


def paid_services_are_available(states: ServiceStates, settings: Settings | None = None) -> bool:
    """Whether degraded documents may be retried: no paid service is known to be unavailable.

    A service that refused the key or quota is called again after a while, because only its response
    shows whether it is available.
    """
    for service in paid_services(settings):
        state, now = states.read(service)
        is_refused = state.refusal is not None and now < state.refusal.until
        if is_refused or state.breaker.name(now) == "open":
            return False
    return True


def count_by_reason(due: Sequence[DueDocument]) -> Mapping[Reason, int]:
    """How many documents are due for each reason."""
    return {r: n for r in Reason if (n := sum(document.reason is r for document in due))}
