"""All private parts of Dagster that the project uses.

What belongs here: each import of a private module of Dagster, each use of a private attribute, and
the check that they still work. What does not: their purpose in the project (`storage`,
`partitions`, `run_events`, `run_cost_warning`).

Dagster promises nothing for these parts, not even between two versions of 1.13. So they are checked
when this module is loaded. If only speed is affected, Dagster's default implementation is used, and
a log event reports it. If a result would be wrong, loading fails with an error that names the
versions that work. ``make test`` runs the tests of this module with the oldest, the locked and the
newest version.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast

import dagster as dg
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage
from sqlalchemy import Engine

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import TvdbError
from tvdb_assets.telemetry import DAGSTER_FALLBACK, log_event

DAGSTER_VERSIONS: Final = ">=1.13.21,<1.14"
"""Supported versions of dagster and dagster-webserver, the same as in pyproject.toml."""
DAGSTER_POSTGRES_VERSIONS: Final = ">=0.29.21,<0.30"


DefinitionsFunction = TypeVar("DefinitionsFunction", bound=Callable[..., dg.Definitions])


def unusable(problems: Sequence[str]) -> TvdbError:
    """The error that names the installed versions, what they lack, and the versions that work."""
    found = []
    for package in ("dagster", "dagster-postgres"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return codes.DAGSTER_INCOMPATIBLE.error(
        found=" and ".join(found),
        problems=", ".join(problems),
        dagster=DAGSTER_VERSIONS,
        dagster_postgres=DAGSTER_POSTGRES_VERSIONS,
    )


try:
    from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
    from dagster._core.events import AssetObservationData, StepMaterializationData
    from dagster._core.execution.api import execute_run
    from dagster._core.execution.asset_backfill import AssetBackfillData
    from dagster._core.execution.backfill import (
        BulkActionsFilter,
        BulkActionStatus,
        PartitionBackfill,
    )
    from dagster._core.execution.context.system import StepExecutionContext
    from dagster._core.execution.plan.step import ExecutionStep
    from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.storage import tags as _tags
    from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
    from dagster._core.storage.event_log import schema as _event_schema
    from dagster._core.storage.runs import schema as _run_schema
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster.components.definitions import LazyDefinitions
except ImportError as error:
    raise unusable([str(error)]) from error

BACKFILL_ID_TAG: Final = _tags.BACKFILL_ID_TAG
"""Tag of a run that belongs to a backfill."""
WILL_RETRY_TAG: Final = "dagster/will_retry"
"""Tag of a failed run: whether Dagster retries it."""
AUTO_RETRY_RUN_ID_TAG: Final = "dagster/auto_retry_run_id"
"""Tag of a failed run: the run that retries it."""
RUN_FAILURE_REASON_TAG: Final = "dagster/failure_reason"
"""Tag of a failed run: why it failed."""
RETRY_ON_FAILURE_TAG: Final = "dagster/retry_on_asset_or_op_failure"
"""Tag of a run: whether Dagster retries it although a step failed."""


# --- The check ----------------------------------------------------------------------------


def missing(owner: object, **members: Sequence[str] | None) -> list[str]:
    """The names that an object of Dagster lacks, with their owner.

    Args:
        owner: a class or module.
        members: each name that is used, with the parameters that a call passes by position, or
            None for a name that is not called.
    """
    problems = []
    for name, parameters in members.items():
        label = f"{getattr(owner, '__name__', owner)}.{name}"
        member = getattr(owner, name, None)
        if member is None:
            problems.append(label)
        elif parameters is not None:
            try:
                inspect.signature(member).bind(*parameters)
            except TypeError:
                problems.append(f"{label}({', '.join(parameters)})")
    return problems


def changed(owner: type, **methods: Sequence[str]) -> list[str]:
    """Overridden methods whose parameters differ from those of the project's methods."""
    problems = []
    for name, parameters in methods.items():
        method = getattr(owner, name, None)
        if method is None or list(inspect.signature(method).parameters) != ["self", *parameters]:
            problems.append(f"{owner.__name__}.{name}({', '.join(parameters)})")
    return problems


def _columns(table: Any, *names: str) -> list[str]:
    """The columns that a table lacks, of those that the project's statements use."""
    return [f"{table.name}.{name}" for name in names if name not in table.columns]


def problems() -> list[str]:
    """The missing or changed parts without which a result would be wrong."""
    found = [
        *missing(BulkActionStatus, REQUESTED=None, CANCELING=None, CANCELED=None),
        *missing(
            PartitionBackfill,
            asset_backfill_data=None,
            backfill_id=None,
            get_asset_backfill_data=("self", "asset_graph"),
            is_asset_backfill=None,
            status=None,
        ),
        *missing(
            AssetBackfillData,
            get_target_partitions_subset=("self", "asset_key"),
            get_targeted_partitions_without_materialization_status=("self",),
            materialized_subset=None,
            target_subset=None,
        ),
        *missing(AssetGraphSubset, asset_keys=None, partitions_subsets_by_asset_key=None),
        *missing(dg.DagsterInstance, event_log_storage=None, get_backfill=("self", "id")),
        *missing(dg.DagsterInstance, get_ref=("self",), is_persistent=None),
        *missing(DefaultRunLauncher, _instance=None, terminate=("self", "run_id")),
        *missing(ExecutionStep, handle=None, key=None, kind=None, node_handle=None),
        *missing(LazyDefinitions, __call__=("self", "context"), has_context_arg=None, load_fn=None),
        *missing(ExecutionStep, get_execution_dependency_keys=("self",)),
        *missing(StepExecutionContext, event_tags=None, execution_plan=None, job_name=None),
        *missing(PostgresRunStorage, connect=("self",), get_backfill=("self", "id")),
        *changed(PostgresRunStorage, get_run_ids=("filters", "cursor", "limit")),
        *changed(PostgresEventLogStorage, store_event=("event",), store_event_batch=("events",)),
        *_columns(_run_schema.RunTagsTable, "run_id", "key", "value"),
        *_columns(_run_schema.RunsTable, "id", "run_id", "status", "update_timestamp"),
        *_columns(
            _event_schema.SqlEventLogStorageTable,
            *("id", "run_id", "timestamp", "asset_key", "dagster_event_type", "partition"),
        ),
    ]
    written = {
        "BACKFILL_ID_TAG": "dagster/backfill",
        "PARTITION_NAME_TAG": "dagster/partition",
        "ASSET_PARTITION_RANGE_START_TAG": "dagster/asset_partition_range_start",
        "ASSET_PARTITION_RANGE_END_TAG": "dagster/asset_partition_range_end",
        "WILL_RETRY_TAG": WILL_RETRY_TAG,
        "AUTO_RETRY_RUN_ID_TAG": AUTO_RETRY_RUN_ID_TAG,
        "RUN_FAILURE_REASON_TAG": RUN_FAILURE_REASON_TAG,
        "RETRY_ON_ASSET_OR_OP_FAILURE_TAG": RETRY_ON_FAILURE_TAG,
    }
    found += [name for name, tag in written.items() if getattr(_tags, name, None) != tag]
    return found


def slower() -> dict[str, list[str]]:
    """The tasks that use Dagster's default implementation, each with the missing parts."""
    events = [
        *missing(
            PostgresEventLogStorage,
            _connect=("self",),
            _event_to_row=("self", "event"),
            _store_asset_event=("self", "connection", "event", "event_id"),
            _store_asset_event_tags=("self", "connection", "events", "event_ids"),
            index_transaction=("self",),
        ),
        *_columns(_event_schema.SqlEventLogStorageTable, "id"),
    ]
    partitions = [
        *missing(PostgresEventLogStorage, index_connection=("self",), index_transaction=("self",)),
        *changed(
            PostgresEventLogStorage,
            add_dynamic_partitions=("partitions_def_name", "partition_keys"),
        ),
        *_columns(_event_schema.DynamicPartitionsTable, "id", "partitions_def_name", "partition"),
    ]
    return {
        name: lacks
        for name, lacks in (("events in batches", events), ("partitions in batches", partitions))
        if lacks
    }


def check() -> frozenset[str]:
    """Check all parts; returns the tasks that use Dagster's default implementation.

    Raises:
        ConfigurationError: a missing part would make a result wrong.
    """
    if found := problems():
        raise unusable(found)
    left = slower()
    if left:
        _log_fallback(left)
    return frozenset(left)


def _log_fallback(left: Mapping[str, Sequence[str]]) -> None:
    lacks = sorted({problem for found in left.values() for problem in found})
    log_event(
        DAGSTER_FALLBACK,
        f"Dagster {version('dagster')} lacks {', '.join(lacks)}. Its default implementation "
        f"is slower for: {', '.join(left)}. Versions that have it: {DAGSTER_VERSIONS}.",
    )


# --- Backfills ----------------------------------------------------------------------------

Backfill = PartitionBackfill
RunHealth = CheckRunHealthResult
RunLauncher = DefaultRunLauncher
RunWorkerStatus = WorkerStatus


def requested_backfills(instance: dg.DagsterInstance) -> Sequence[Backfill]:
    """All active backfills of an instance."""
    filters = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    found: Sequence[Backfill] = instance.get_backfills(filters=filters)
    return found


def is_requested(backfill: Backfill) -> bool:
    """Whether a backfill is active."""
    return backfill.status is BulkActionStatus.REQUESTED


def is_cancelled(backfill: Backfill) -> bool:
    """Whether someone cancelled a backfill."""
    return backfill.status in (BulkActionStatus.CANCELING, BulkActionStatus.CANCELED)


def partitions_left(backfill: Backfill, assets: Sequence[dg.AssetKey]) -> Iterator[str]:
    """Partitions of these assets that a backfill has neither materialized nor seen fail."""
    data = backfill.asset_backfill_data
    if data is None:
        return
    left = data.get_targeted_partitions_without_materialization_status()
    for asset in assets:
        subset = left.partitions_subsets_by_asset_key.get(asset)
        if subset is not None:
            yield from subset.get_partition_keys()


def partitions_not_materialized(backfill: Backfill, assets: Sequence[dg.AssetKey]) -> set[str]:
    """Partitions of these assets that a backfill targets and has not materialized."""
    data = backfill.asset_backfill_data
    if data is None:
        return set()
    left = data.target_subset - data.materialized_subset
    keys: set[str] = set()
    for asset in assets:
        if (subset := left.partitions_subsets_by_asset_key.get(asset)) is not None:
            keys.update(subset.get_partition_keys())
    return keys


def target_assets(backfill: Backfill) -> set[dg.AssetKey]:
    """The assets of a backfill; none before the daemon has first evaluated it."""
    data = backfill.asset_backfill_data
    return set(data.target_subset.asset_keys) if data is not None else set()


def materialized_in_run(
    instance: dg.DagsterInstance, run_id: str, assets: Collection[dg.AssetKey]
) -> set[str]:
    """The partitions of which a run has materialized each of these assets."""
    found: dict[dg.AssetKey, set[str]] = {asset: set() for asset in assets}
    cursor: str | None = None
    while True:
        page = instance.get_records_for_run(
            run_id, cursor, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event is not None and event.partition and event.asset_key in found:
                found[event.asset_key].add(event.partition)
        if not page.has_more:
            return set.intersection(*found.values()) if found else set()
        cursor = page.cursor


def target_partitions(
    backfill: Backfill, context: dg.AssetExecutionContext, asset: dg.AssetKey
) -> list[str] | None:
    """The target partitions of a backfill for an asset; None if it does not include the asset."""
    if not backfill.is_asset_backfill:
        return None
    data = backfill.get_asset_backfill_data(context.repository_def.asset_graph)
    if asset not in data.target_subset.asset_keys:
        return None
    return sorted(data.get_target_partitions_subset(asset).get_partition_keys())


def asks_for_unfinished_runs(filters: dg.RunsFilter | None) -> bool:
    """Whether these filters include all statuses of unfinished runs, in any order."""
    return filters is not None and _UNFINISHED.issubset(filters.statuses or ())


_UNFINISHED: Final = frozenset(NOT_FINISHED_STATUSES)


# --- Runs of commands ---------------------------------------------------------------------


def repository_origin(
    instance: dg.DagsterInstance, sensor: str, module: str
) -> RemoteRepositoryOrigin:
    """The repository of the code location that evaluated a sensor last.

    Args:
        instance: the Dagster instance.
        sensor: the name of the sensor.
        module: the code location's module and name if no sensor of this name is known.
    """
    states = [s for s in instance.all_instigator_state() if s.instigator_name == sensor]
    if states:
        newest = max(
            states, key=lambda s: getattr(s.instigator_data, "last_tick_timestamp", None) or 0.0
        )
        found: RemoteRepositoryOrigin = newest.origin.repository_origin
        return found
    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(executable_path=sys.executable, module_name=module), module
    )
    return RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)


def execute_job(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    *,
    run_id: str,
    tags: Mapping[str, str],
    run_config: Mapping[str, Any],
    assets: Sequence[dg.AssetKey],
    origin: RemoteRepositoryOrigin,
) -> Any:
    """Execute a job in this process, as a run of a repository.

    `JobDefinition.execute_in_process` does the same without a repository, so that the UI can't
    show the run on its timeline, or execute it again.
    """
    run = instance.create_run_for_job(
        job.get_subset(asset_selection=frozenset(assets)),
        run_id=run_id,
        run_config=run_config,
        tags={**job.run_tags, **tags},
        asset_selection=frozenset(assets),
        remote_job_origin=RemoteJobOrigin(origin, job.name),
    )
    return execute_run(InMemoryJob(job), run, instance, raise_on_error=False)


# --- Events -------------------------------------------------------------------------------


def launcher_module(instance: dg.DagsterInstance) -> str:
    """The module of the instance's run launcher, which is not loaded; empty for Dagster's own.

    A process that starts no runs may lack what the launcher needs: its package, or its address.
    """
    data = instance.get_ref().run_launcher_data if instance.is_persistent else None
    return "" if data is None else str(data.module_name)


def asset_event_entry(
    context: dg.AssetExecutionContext,
    asset_event: dg.AssetMaterialization | dg.AssetObservation,
    timestamp: float,
) -> dg.EventLogEntry:
    """Create the log entry of an asset event, as the running step would.

    Args:
        context: context of the step.
        asset_event: the materialization or observation.
        timestamp: its time, in seconds of Unix time.
    """
    running = context.get_step_execution_context()
    data: StepMaterializationData | AssetObservationData
    if isinstance(asset_event, dg.AssetMaterialization):
        kind, message = dg.DagsterEventType.ASSET_MATERIALIZATION, "Materialized value."
        data = StepMaterializationData(asset_event)
    else:
        kind, message = dg.DagsterEventType.ASSET_OBSERVATION, asset_event.description or ""
        data = AssetObservationData(asset_event)
    event = dg.DagsterEvent(
        event_type_value=kind.value,
        job_name=running.job_name,
        step_handle=running.step.handle,
        node_handle=running.step.node_handle,
        step_kind_value=running.step.kind.value,
        logging_tags=running.event_tags,
        event_specific_data=data,
        message=message,
    )
    return dg.EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level="debug",
        user_message="",
        run_id=context.run.run_id,
        timestamp=timestamp,
        step_key=running.step.key,
        job_name=running.job_name,
        dagster_event=event,
    )


def feeds_other_steps(context: dg.AssetExecutionContext) -> bool:
    """Whether another step of the run depends on the running step."""
    running = context.get_step_execution_context()
    return any(
        running.step.key in other.get_execution_dependency_keys()
        for other in running.execution_plan.steps
    )


def store_asset_events(
    storage: PostgresEventLogStorage, events: Sequence[dg.EventLogEntry]
) -> None:
    """Store events of one or several assets in one statement.

    Dagster stores planned materializations one by one, 3,000 for 1,000 documents in three assets.
    """
    table = _event_schema.SqlEventLogStorageTable
    # SQLAlchemy compiles the statement once for all batches if the rows are passed separately.
    statement = table.insert().returning(table.c.id, sort_by_parameter_order=True)
    with storage._connect() as connection:
        rows = [storage._event_to_row(event) for event in events]
        ids = [int(row[0]) for row in connection.execute(statement, rows)]
    # The table of assets contains only the newest event of each asset.
    newest = {e.get_dagster_event().asset_key: (e, i) for e, i in zip(events, ids, strict=True)}
    with storage.index_transaction() as connection:
        storage._store_asset_event_tags(connection, events, ids)
        for event, event_id in newest.values():
            storage._store_asset_event(connection, event, event_id)


# --- Connections --------------------------------------------------------------------------


def share_engine(engine: Engine, *storages: Any) -> None:
    """Make storages use one engine.

    If Dagster has renamed the attribute, each storage keeps its own engine, which opens a
    connection for each statement.
    """
    if lacking := [type(storage) for storage in storages if not hasattr(storage, "_engine")]:
        _log_fallback({"connections": [f"{kind.__name__}._engine" for kind in lacking]})
        engine.dispose()
        return
    for storage in storages:
        storage._engine = engine


def close_engine(storage: Any) -> None:
    """Close the connections of a storage's engine."""
    if (engine := getattr(storage, "_engine", None)) is not None:
        engine.dispose()


# --- The development server ---------------------------------------------------------------


def keep_interrupts_from_log_tails() -> None:
    """Keep Ctrl-C from the processes that copy a step's output; they would print stack traces."""
    from dagster._core.execution import compute_logs

    if not missing(compute_logs, subprocess=None):
        start = partial(subprocess.Popen, start_new_session=True)
        setattr(compute_logs, "subprocess", SimpleNamespace(Popen=start))  # noqa: B010


_START: Final = "open_ipc_subprocess"


def run_dev(webserver: str, arguments: Sequence[str]) -> None:
    """Run ``dagster dev`` with another module in place of ``dagster_webserver``."""
    from dagster._cli import dev

    if found := missing(dev, dev_command=None, **{_START: ("parts",)}):
        raise unusable(found)
    start = getattr(dev, _START)

    def start_instead(parts: Sequence[str], **options: Any) -> Any:
        module = parts[2] if parts[1] == "-m" else ""
        if module not in ("dagster_webserver", "dagster._daemon"):
            raise unusable([f"dagster dev with {module}"])
        given = [parts[0], "-m", webserver, *parts[3:]]
        return start(given if module == "dagster_webserver" else parts, **options)

    setattr(dev, _START, start_instead)
    dev.dev_command(list(arguments))


# --- Definitions --------------------------------------------------------------------------


class _DefinitionsWithOptions(LazyDefinitions[dg.Definitions]):
    """What ``dg.definitions`` makes of a function, and may be called with keyword arguments."""

    def __call__(self, context: object = None, **options: Any) -> dg.Definitions:
        return self.load_fn(**options)


def definitions_with_options(function: DefinitionsFunction) -> DefinitionsFunction:
    """Decorate a function as ``dg.definitions`` does, which allows no parameters.

    Dagster calls the function without arguments; a project may pass those that it has.
    """
    made = _DefinitionsWithOptions(load_fn=function, has_context_arg=False)
    return cast("DefinitionsFunction", made)


LEFT_TO_DAGSTER: Final = check()
"""The tasks that use Dagster's default implementation, by the names of `slower`."""
