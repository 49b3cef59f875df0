"""What an ingest does: compare the source with what is known, and run what that calls for.

What belongs here: which documents need a run, and the runs. What does not: the walk itself,
or how the outcome is shown (`cli`). Works without a daemon: runs execute in this process, as
runs of the same assets that the UI and schedules run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus

from tvdb_assets import errors
from tvdb_assets.assets.launching import TOLD_TAG, observe
from tvdb_assets.assets.resources import ServiceRouterResource
from tvdb_assets.automation.resuming import by_backfill, tags_of
from tvdb_assets.correlation import new_run_id
from tvdb_assets.definitions import defs
from tvdb_assets.errors import ConfigurationError, Disposition, SourceError, TvdbError
from tvdb_assets.models import SourceFile, Stage
from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.pipeline.partition_ranges import partition_ranges, range_tags
from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.settings import Settings
from tvdb_assets.storage.registry import Known, Registry
from tvdb_assets.storage.source import Source
from tvdb_assets.walk.outlook import Outlook

PARTITIONS = "documents"
_REGISTERED_BY_HAND = ""


@dataclass(slots=True)
class Plan:
    """What a comparison of source and index found; nothing is changed by making it."""

    source: Source
    new: list[SourceFile] = field(default_factory=list)
    stale: list[Known] = field(default_factory=list)
    """Changed, unfinished, or made by another parser, chunker or model."""
    touched: list[tuple[int, SourceFile]] = field(default_factory=list)
    """New etag, same bytes."""
    unchanged: list[Known] = field(default_factory=list)
    gone: list[Known] = field(default_factory=list)


def plan(
    source: Source, prefixes: Sequence[str], registry: Registry, settings: Settings, max_bytes: int
) -> Plan:
    """Compare a source, or what lies under ``prefixes`` of it, with the registered documents.

    Raises:
        ConfigurationError: everything that is known is gone, as of a folder not mounted.
    """
    known = registry.known(source.root)
    with ServiceRouter(settings) as router:
        recipe = router.recipe(Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens))
    made = Plan(source)
    seen: set[str] = set()
    for listed in source.list(prefixes):
        file = _as_file(listed)
        seen.add(file.path)
        document = known.get(file.path)
        if document is None:
            made.new.append(file)
        elif document.etag == file.etag and _is_settled(document, recipe):
            made.unchanged.append(document)
        elif _is_settled(document, recipe) and _has_same_bytes(source, document, max_bytes):
            made.touched.append((document.document_id, file))
            made.unchanged.append(document)
        else:
            made.stale.append(document)
    made.gone = [
        document
        for path, document in known.items()
        if path not in seen and _is_under(path, prefixes)
    ]
    if made.gone and not seen and not prefixes:
        raise ConfigurationError(
            "source_empty",
            f"The source {source.root} holds no documents, and {len(made.gone)} are known of it.",
            remedy="Check that it is mounted and that TVDB_SOURCE is right. If they are to go, "
            "use tvdb forget.",
        )
    return made


def keep_names(source: Source, registry: Registry, instance: dg.DagsterInstance) -> None:
    """Bring partition keys in line with which paths are marked private now."""
    moved = registry.rekey(source.root)
    for old in moved:
        instance.delete_dynamic_partition(PARTITIONS, old)
    instance.add_dynamic_partitions(PARTITIONS, list(moved.values()))


def execute(
    made: Plan,
    registry: Registry,
    instance: dg.DagsterInstance,
    settings: Settings,
    on_run: Callable[[str], None],
    on_outlook: Callable[[Outlook], None] = lambda _: None,
) -> list[str]:
    """Carry out a plan: register, run, delete; returns the run ids.

    Args:
        made: the plan.
        registry: of the same database.
        instance: Dagster's.
        settings: of this process.
        on_run: called with each run's id before it starts.
        on_outlook: called before all runs if they cost more than is left of the budget.
    """
    registry.touch(made.touched)
    new_keys = registry.register(made.source.root, made.new, run_id=_REGISTERED_BY_HAND)
    wanted = {*new_keys, *(document.partition_key for document in made.stale)}
    present = set(instance.get_dynamic_partitions(PARTITIONS))
    instance.add_dynamic_partitions(PARTITIONS, [k for k in new_keys if k not in present])
    missing = [d.partition_key for d in made.stale if d.partition_key not in present]
    instance.add_dynamic_partitions(PARTITIONS, missing)
    run_ids = []
    if wanted:
        ordered = instance.get_dynamic_partitions(PARTITIONS)
        services = ServiceRouterResource(mode=None, parser_mode=None, embedder_mode=None)
        if (outlook := services.outlook(sorted(wanted))) is not None:
            observe(instance, outlook)
            on_outlook(outlook)
        told = {TOLD_TAG: outlook.words() if outlook is not None else ""}
        for tags, keys in _by_backfill(instance, registry, wanted):
            for first, last in partition_ranges(ordered, keys, settings.run_partitions):
                run_ids.append(_run(instance, {**range_tags(first, last), **tags, **told}, on_run))
    # Last, so that a file that was moved finds its text and vectors under the old name.
    registry.forget([document.document_id for document in made.gone])
    for document in made.gone:
        instance.delete_dynamic_partition(PARTITIONS, document.partition_key)
    return run_ids


def _by_backfill(
    instance: dg.DagsterInstance, registry: Registry, wanted: set[str]
) -> list[tuple[dict[str, str], set[str]]]:
    """Documents with their run's tags: what waits in a backfill under way counts for it."""
    grouped = [
        (tags_of(backfill), keys)
        for backfill, keys in by_backfill(instance, registry.waiting(wanted))
        if backfill is not None and backfill.status is BulkActionStatus.REQUESTED
    ]
    return [({}, wanted.difference(*(keys for _, keys in grouped))), *grouped]


def _run(instance: dg.DagsterInstance, tags: dict[str, str], on_run: Callable[[str], None]) -> str:
    run_id = new_run_id()
    on_run(run_id)
    job = defs().resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        instance=instance,
        tags=tags,
        run_id=run_id,
        raise_on_error=False,
        asset_selection=[dg.AssetKey(stage.value) for stage in Stage],
    )
    for event in result.filter_events(lambda event: event.is_step_failure):
        # Documents' own failures are on record; anything else must not look like success.
        if event.step_failure_data.user_failure_data is None:
            raise _run_failed(run_id, event.step_failure_data.error)
    return run_id


def _run_failed(run_id: str, error: Any) -> TvdbError:
    """What ended a run, if it is no document's fault, in words that hold no document text."""
    why = f"{error.cls_name if error is not None else 'an unknown error'}."
    while error is not None:
        # Only messages of our own are known to be free of document text.
        if hasattr(errors, error.cls_name or ""):
            why = error.message.strip()
        error = error.cause
    failed = TvdbError(
        "run_failed",
        f"The run {run_id} was ended by an error that is no document's fault: {why}",
        remedy="What was done before is kept. Mend the cause and ingest again; the run's page in "
        "the UI has the whole trace.",
    )
    failed.run_id = run_id
    return failed


def _as_file(listed: SourceFile | SourceError) -> SourceFile:
    """A refused file is registered too: its walk then fails with the reason, where all look."""
    if isinstance(listed, SourceFile):
        return listed
    return SourceFile(path=listed.document or "", size=0, etag=f"refused:{listed.code}")


def _is_settled(document: Known, recipe: str) -> bool:
    """Whether another walk of the same bytes would end as the last one did."""
    ended = document.status == "published" or (
        document.status == "failed" and document.disposition == Disposition.TERMINAL
    )
    # What a stand-in made is made again, by the real service if it is back.
    return ended and document.recipe == recipe and not document.is_degraded


def _has_same_bytes(source: Source, document: Known, max_bytes: int) -> bool:
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
