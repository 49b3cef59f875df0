"""Ingest: compares the source with the registered documents, and processes those that need it.

What belongs here: which documents need a run, and the runs. What does not: the processing of a
document (`tvdb_assets.ingestion`), or how the outcome is shown (`cli`). No daemon is needed:
runs execute in this process, as runs of the same assets that the UI and schedules run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import dagster as dg

from tvdb_assets import error_codes as codes
from tvdb_assets import errors
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.source_comparison import compare, needs_confirmation, newly_gone
from tvdb_assets.correlation import new_run_id
from tvdb_assets.dagster import command_runs, compat
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.definitions import definitions_with
from tvdb_assets.dagster.reconciler import PlannedRun, Reconciler
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.dagster.run_cost_warning import FORECAST_TAG, report_forecast
from tvdb_assets.errors import SourceError, TvdbError
from tvdb_assets.ingestion.cost_forecast import CostForecast
from tvdb_assets.lifecycle import Reason, is_settled
from tvdb_assets.models import SourceFile
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories.document_registry import DocumentRegistry, KnownDocument
from tvdb_assets.repositories.document_sources import DocumentSources
from tvdb_assets.repositories.due_documents import DueDocument
from tvdb_assets.routing.service_clients import pipeline_fingerprint
from tvdb_assets.settings import Settings
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.service_state_store import ServiceStates


@dataclass(slots=True)
class IngestPlan:
    """The result of comparing the source with the registered documents; it changes nothing."""

    source: Source
    new: list[SourceFile] = field(default_factory=list)
    stale: list[KnownDocument] = field(default_factory=list)
    """Changed, unfinished, or processed by another parser, chunker or model."""
    changed: list[tuple[int, SourceFile]] = field(default_factory=list)
    """The stale documents with another etag."""
    touched: list[tuple[int, SourceFile]] = field(default_factory=list)
    """New etag, same bytes."""
    unchanged: list[KnownDocument] = field(default_factory=list)
    gone: list[KnownDocument] = field(default_factory=list)
    is_whole: bool = False
    """Whether all of the source was scanned."""
    unlisted: list[SourceError] = field(default_factory=list)
    """Parts of the source that can't be listed."""
    unconfirmed: TvdbError | None = None
    """The error if a person must confirm first that this many documents are gone; else None."""

    @property
    def has_documents(self) -> bool:
        """Whether the scan found or knows any document, or could not see all of the source."""
        return bool(self.new or self.stale or self.unchanged or self.gone or self.unlisted)


def plan(
    source: Source,
    prefixes: Sequence[str],
    registry: DocumentRegistry,
    settings: Settings,
    max_bytes: int,
    *,
    deletes: bool = False,
) -> IngestPlan:
    """Compare a source, or the files under ``prefixes`` in it, with the registered documents.

    Args:
        source: the source to list.
        prefixes: path prefixes to list; empty for the whole source.
        registry: the registered documents.
        settings: the settings of the pipeline, and the share of documents that may be gone.
        max_bytes: maximum size of a file that is compared by its bytes.
        deletes: whether a person confirmed that any number of documents may be gone.

    Raises:
        ConfigurationError: all known documents are gone, for example if a folder is not mounted.
    """
    known = {
        path: document
        for path, document in registry.known(source.root).items()
        if _is_under(path, prefixes)
    }
    chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
    fingerprint = pipeline_fingerprint(settings, chunker, ServiceStates(registry.database))
    fingerprints = (fingerprint, settings.limits_fingerprint + fingerprint)
    found = compare(
        source.list(prefixes),
        known,
        root=source.root,
        is_whole=not prefixes,
        may_be_empty=deletes,
    )
    planned = IngestPlan(source, new=found.new, gone=found.gone, unlisted=found.unlisted)
    planned.is_whole = not prefixes
    if not deletes and needs_confirmation(found, settings.deletion_share):
        planned.unconfirmed = codes.DELETION_UNCONFIRMED.error(
            gone=len(newly_gone(found)), known=found.known_present, root=source.root
        )
    for document in found.same:
        same = planned.unchanged if is_settled(document, fingerprints) else planned.stale
        same.append(document)
    for document, file in found.changed:
        if is_settled(document, fingerprints) and _has_same_bytes(source, document, max_bytes):
            planned.touched.append((document.document_id, file))
            planned.unchanged.append(document)
        else:
            planned.changed.append((document.document_id, file))
            planned.stale.append(document)
    return planned


def execute(
    ingest_plan: IngestPlan,
    reconciler: Reconciler,
    instance: dg.DagsterInstance,
    on_run: Callable[[str], None],
    on_forecast: Callable[[CostForecast], None] = lambda _: None,
    workers: WorkerPool | None = None,
) -> list[str]:
    """Execute a plan: register documents, run them, delete others; returns the run ids.

    Args:
        ingest_plan: the plan.
        reconciler: a reconciler for the same database.
        instance: the Dagster instance.
        on_run: called with each run's id before it starts.
        on_forecast: called before all runs if they cost more than the remaining budget.
        workers: workers for all runs; None starts workers for each run.

    Raises:
        ConfigurationError: a person must confirm first that so many documents are gone.
    """
    if ingest_plan.unconfirmed is not None:
        raise ingest_plan.unconfirmed
    planned = ExitStack()
    with reconciler.due.planning():
        reconciler.registry.touch(ingest_plan.touched)
        reconciler.registry.change(ingest_plan.changed)
        keys = reconciler.add(ingest_plan.source, ingest_plan.new)
        keys += [document.partition_key for document in ingest_plan.stale]
        runs = reconciler.runs(keys)
        reconciler.due.note_run_requests(keys)
        planned.enter_context(reconciler.due.planned())
    with planned:
        run_ids = _run_all(instance, keys, runs, on_run, on_forecast, workers)
    if ingest_plan.is_whole:
        unlisted = [part.document or "" for part in ingest_plan.unlisted]
        DocumentSources(reconciler.database).record_scan(ingest_plan.source.root, unlisted, 0)
    # Last, so that the text and vectors of a moved file are found under its old name.
    gone = [document.document_id for document in ingest_plan.gone]
    reconciler.deletion.delete(gone, keeps_results=True)
    with reconciler.due.planning():
        reconciler.partitions.drop_removed(reconciler.deletion)
    return run_ids


def catch_up(
    reconciler: Reconciler,
    instance: dg.DagsterInstance,
    reasons: frozenset[Reason],
    on_start: Callable[[Sequence[DueDocument]], None],
    on_run: Callable[[str], None],
    on_forecast: Callable[[CostForecast], None] = lambda _: None,
) -> list[DueDocument]:
    """Run the documents that are due, in this process; returns those that were due.

    Args:
        reconciler: a reconciler for the same database.
        instance: the Dagster instance.
        reasons: the reasons to include.
        on_start: called with the due documents before the first run.
        on_run: called with each run's id before it starts.
        on_forecast: called before all runs if they cost more than the remaining budget.
    """
    planned = ExitStack()
    with reconciler.due.planning():
        due = reconciler.plan(reasons)
        keys = [document.partition_key for document in due]
        runs = reconciler.runs(keys)
        reconciler.due.note_run_requests(keys)
        planned.enter_context(reconciler.due.planned())
    with planned:
        on_start(due)
        _run_all(instance, keys, runs, on_run, on_forecast)
    return due


def _run_all(
    instance: dg.DagsterInstance,
    keys: Sequence[str],
    runs: Sequence[PlannedRun],
    on_run: Callable[[str], None],
    on_forecast: Callable[[CostForecast], None],
    workers: WorkerPool | None = None,
) -> list[str]:
    """Execute runs one after the other; reports a forecast first if they exceed the budget."""
    if not runs:
        return []
    router = ServiceRouterResource(mode=None, parser_mode=None, embedder_mode=None)
    forecast = router.forecast_cost(sorted(keys))
    if forecast is not None:
        report_forecast(instance, forecast, DefinitionNames.of(router.settings()))
        on_forecast(forecast)
    announced = {FORECAST_TAG: forecast.message() if forecast is not None else ""}
    return [run(instance, {**each.tags, **announced}, on_run, workers) for each in runs]


def run(
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    on_run: Callable[[str], None],
    workers: WorkerPool | None = None,
) -> str:
    """Execute one run in this process; returns its id.

    Args:
        instance: the Dagster instance.
        tags: tags of the run, which include its partitions.
        on_run: called with the run's id before it starts.
        workers: workers that parse and chunk; None starts them by the settings.

    Raises:
        TvdbError: an error that no document caused ended the run.
        KeyboardInterrupt: a person interrupted the run.
    """
    run_id = new_run_id()
    on_run(run_id)
    router = ServiceRouterResource(mode=None, parser_mode=None, embedder_mode=None)
    # Hard-coded, because Dagster would otherwise create a copy without the workers.
    router_definition = dg.ResourceDefinition.hardcoded_resource(router.with_workers(workers))
    settings = router.settings()
    names = DefinitionNames.of(settings)
    job = definitions_with(
        router_definition, settings, names
    ).resolve_implicit_global_asset_job_def()
    compat.keep_interrupts_from_log_tails()
    result = command_runs.execute(
        job,
        instance,
        run_id=run_id,
        tags=tags,
        assets=names.document_assets,
        sensor=names.name("cost_sensor"),
    )
    ended = instance.get_run_by_id(run_id)
    if ended is not None and ended.status is dg.DagsterRunStatus.CANCELED:
        if not instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_CANCELING):
            raise KeyboardInterrupt
        raise codes.RUN_FAILED.error(run=run_id, why="It was cancelled.")
    for event in result.filter_events(lambda event: event.is_step_failure):
        if _is_interrupt(event.step_failure_data.error):
            raise KeyboardInterrupt
        # Failures of documents are recorded. Any other failure must not look like success.
        if event.step_failure_data.user_failure_data is None:
            raise _run_failed(run_id, event.step_failure_data.error)
    return run_id


def _is_interrupt(error: Any) -> bool:
    """Whether a person or a signal ended the step."""
    while error is not None:
        if error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt"):
            return True
        error = error.cause
    return False


def _run_failed(run_id: str, error: Any) -> TvdbError:
    """The error that ended a run and that no document caused, without document text."""
    why = f"{error.cls_name if error is not None else 'an unknown error'}."
    while error is not None:
        # Only the project's own error messages never contain document text.
        if hasattr(errors, error.cls_name or ""):
            why = error.message.strip()
        error = error.cause
    failed = codes.RUN_FAILED.error(run=run_id, why=why)
    failed.run_id = run_id
    return failed


def _has_same_bytes(source: Source, document: KnownDocument, max_bytes: int) -> bool:
    if document.sha256 is None:
        return False
    try:
        data = source.read(document.path, max_bytes=max_bytes)
    except SourceError:
        return False
    return sha256(data).digest() == document.sha256


def _is_under(path: str, prefixes: Sequence[str]) -> bool:
    return not prefixes or any(
        path == prefix or path.startswith(prefix.rstrip("/") + "/") for prefix in prefixes
    )
