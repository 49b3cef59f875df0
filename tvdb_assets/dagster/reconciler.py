"""What the sensors, the schedules and the command line do for documents without being told which.

What belongs here: taking in what changed in the source, planning what is due, and the ranges of
partitions to ask runs for. What does not: when (`document_intake`, `catch_up`), the runs, or the
statements (`repositories.due_documents`, `repositories.deletion`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC

import dagster as dg

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.partition_ranges import range_tags
from tvdb_assets.core.source_comparison import compare
from tvdb_assets.correlation import new_run_id
from tvdb_assets.dagster import compat
from tvdb_assets.dagster.backfill_tags import backfill_tags, group_by_backfill
from tvdb_assets.dagster.partitions import DocumentPartitions
from tvdb_assets.error_boundaries import redacting_errors
from tvdb_assets.lifecycle import BudgetWindows, Reason
from tvdb_assets.models import SourceFile
from tvdb_assets.reporting.budget_alerts import budget_pace
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.due_documents import DueDocument, DueDocuments
from tvdb_assets.routing.paid_services import limits_of, paid_services
from tvdb_assets.routing.service_clients import ServiceClients
from tvdb_assets.settings import Settings
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.spend_guard.spend_limits import changes

TAG = "tvdb/requested_by"
MOST_RUNS = 25
"""Asked for at one tick; the rest follows at the next ones."""


@dataclass(frozen=True, slots=True)
class IntakeSummary:
    """What a look at the source found, and what was done about it."""

    new: int
    changed: int
    gone: int
    unsettled: int
    """Left for the next look, because something may still be writing to them."""
    left: int
    """New or changed, and left for the next look because one look has its bounds."""
    deleted: int

    def message(self) -> str:
        """For a tick's page."""
        told = {
            "new": self.new,
            "changed": self.changed,
            "gone": self.gone,
            "still being written": self.unsettled,
            "left for the next look": self.left,
            "deleted": self.deleted,
        }
        found = ", ".join(f"{count:,} {name}" for name, count in told.items() if count)
        return f"In the source: {found}." if found else "Nothing changed in the source."


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that is to be asked for."""

    keys: Sequence[str]
    """Its partitions, in Dagster's order."""
    tags: Mapping[str, str]
    """By which Dagster knows them, and the backfill that it counts for."""


class Reconciler:
    """What documents need, for one instance and database; hold `planning` while using it."""

    def __init__(
        self, settings: Settings, database: Database, instance: dg.DagsterInstance
    ) -> None:
        """Nothing is read yet."""
        self.settings = settings
        self.database = database
        self.registry = DocumentRegistry(database)
        self.due = DueDocuments(database)
        self.deletion = DocumentDeletion(database)
        self.instance = instance
        self.partitions = DocumentPartitions(instance, self.due)

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, instance: dg.DagsterInstance) -> Iterator[Reconciler]:
        """On the database of the settings, closed at the end of the block.

        Raises:
            StorageError: the database can't be used.
        """
        with redacting_errors(), Database.open(settings) as database:
            yield cls(settings, database, instance)

    def scan_source(self, source: Source, most: int) -> IntakeSummary:
        """Compare the source with what is known of it, and note what is new, changed and gone.

        Args:
            source: all of it is listed, none of it is read.
            most: new and changed documents that are noted; the rest is left for the next time.

        Raises:
            ConfigurationError: the source can't be listed, or all that is known of it is gone.
        """
        self.rekey(source)
        found = compare(
            source.list(),
            self.registry.listed(source.root),
            root=source.root,
            is_whole=True,
            written_before=time.time() - self.settings.intake_settle_seconds,
        )
        changed = [(known.document_id, file) for known, file in found.changed[:most]]
        forgotten = self.deletion.forgotten(source.root)
        wanted = [file for file in found.new if forgotten.get(file.path) != file.etag]
        new = wanted[: max(0, most - len(changed))]
        self.registry.change(changed)
        self.add(source, new)
        gone = [known.document_id for known in found.gone if not known.is_gone]
        self.deletion.unpublish(gone)
        deleted = self.deletion.delete_unpublished()
        self.partitions.drop_removed(self.deletion)
        return IntakeSummary(
            new=len(new),
            changed=len(changed),
            gone=len(gone),
            unsettled=found.unsettled,
            left=len(wanted) + len(found.changed) - len(new) - len(changed),
            deleted=deleted,
        )

    def rekey(self, source: Source) -> None:
        """Bring partition keys in line with which paths are marked private now."""
        moved = self.registry.rekey(source.root)
        if moved:
            self.partitions.add(list(moved.values()))
            self.partitions.drop_removed(self.deletion)

    def add(self, source: Source, files: Sequence[SourceFile]) -> list[str]:
        """Register documents and add their partitions; returns the partition keys."""
        keys = self.registry.register(source.root, files, run_id="")
        self.partitions.add(keys)
        return keys

    def plan(self, reasons: frozenset[Reason], limit: int | None = None) -> list[DueDocument]:
        """Documents that are due, and that no run is under way for.

        Args:
            reasons: for which.
            limit: the most; None is all.
        """
        clients = ServiceClients(self.settings)
        pipeline_fingerprint = clients.pipeline_fingerprint(
            Chunker(self.settings.chunk_tokens, self.settings.chunk_overlap_tokens)
        )
        is_healing = not clients.pays or is_well(ServiceStates(self.database))
        found = self.due.find(
            pipeline_fingerprint,
            self._windows(),
            limits_fingerprint=self.settings.limits_fingerprint,
            reasons=reasons,
            is_healing=is_healing,
            not_in_dagster=sorted(self.partitions.missing())
            if Reason.NOT_IN_DAGSTER in reasons
            else (),
            limit=limit,
        )
        if not found:
            return []
        under_way = self.partitions.under_way()
        return [due for due in found if due.partition_key not in under_way]

    def run_requests(
        self,
        due: Sequence[DueDocument],
        requested_by: str,
        *,
        most_runs: int | None = MOST_RUNS,
        resumes: bool = False,
    ) -> list[dg.RunRequest]:
        """Runs for these documents, as few as hold them, and the note that they are asked for.

        Args:
            due: the documents.
            requested_by: the value of the runs' `TAG`.
            most_runs: to ask for, the rest is due again; None asks for all.
            resumes: only what was left waiting is gone on with; see `runs`.
        """
        keys = [document.partition_key for document in due]
        if most_runs is not None:
            keys = keys[: self.settings.run_partitions * most_runs]
        runs = self.runs(keys, resumes=resumes)
        asked = runs[:most_runs]
        later = {key for run in runs[len(asked) :] for key in run.keys}
        self.due.note_run_requests([key for key in keys if key not in later])
        return [
            # A schedule must tell its runs apart; no two requests are ever the same one.
            dg.RunRequest(run_key=new_run_id(), tags={**run.tags, TAG: requested_by})
            for run in asked
        ]

    def runs(self, keys: Sequence[str], *, resumes: bool = False) -> list[PlannedRun]:
        """As few runs as hold just these partitions, bounded by the settings.

        A document that waits in a backfill is made by a run that counts for it.

        Args:
            keys: partition keys, the most urgent first.
            resumes: what waited in a backfill that was cancelled stays as it is.
        """
        if not keys:
            return []
        wanted = list(dict.fromkeys(keys))
        self.partitions.add(wanted)
        under_way = self.partitions.under_way()
        waiting = group_by_backfill(self.instance, self.registry.waiting(wanted))
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
        groups.append(({}, set(wanted).difference(*grouped)))
        return [
            PlannedRun(neighbours, {**range_tags(neighbours), **tags})
            for tags, group in groups
            for neighbours in self.partitions.ranges(
                [key for key in wanted if key in group],
                self.settings.run_partitions,
                under_way=under_way,
            )
        ]

    def _windows(self) -> BudgetWindows:
        now = budget_pace(self.database, Ledger(self.database, limits_of(self.settings)))
        newest = changes(self.database, limit=1)
        hour = now.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return BudgetWindows(now.day, hour, newest[0].changed_at if newest else now.day)


def is_well(states: ServiceStates) -> bool:
    """Whether what a stand-in made may be tried again: no paid service is known to be away.

    One that refused key or quota may be asked again after a while: only an answer tells.
    """
    for service in paid_services():
        state, now = states.read(service)
        is_refused = state.refusal is not None and now < state.refusal.until
        if is_refused or state.breaker.name(now) == "open":
            return False
    return True


def counted(due: Sequence[DueDocument]) -> Mapping[Reason, int]:
    """How many documents are due for each reason."""
    return {r: n for r in Reason if (n := sum(document.reason is r for document in due))}
