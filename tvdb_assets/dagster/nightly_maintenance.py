"""The job `maintenance` and its schedule: deletes old rows and refreshes the index.

What belongs here: the order of the tasks, and the report. What does not: which rows are deleted
(`repositories.retention`).
"""

from datetime import timedelta

import dagster as dg

from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.reconciler import Reconciler
from tvdb_assets.repositories.retention import Retention
from tvdb_assets.routing.paid_services import spend_limits_of
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.window_repair import repair_windows
from tvdb_assets.telemetry import MAINTENANCE_DONE, log_event


def make_maintenance(names: DefinitionNames) -> dg.JobDefinition:
    """Create the job.

    Args:
        names: keys and names of the definitions.
    """

    @dg.op(
        name=names.name("maintain"),
        required_resource_keys={names.service_router_key},
        out=dg.Out(dg.Nothing),
        description="Deletes old logs, histories and unused vectors, refreshes the index, marks "
        "runs whose process is gone as failed, and reports what it did.",
    )
    def maintain(context: dg.OpExecutionContext) -> None:
        _maintain(context, names)

    @dg.job(
        name=names.name("maintenance"),
        executor_def=dg.in_process_executor,
        description="Keeps tables and logs from growing without limit. TVDB_RETENTION_DAYS and "
        "TVDB_CACHE_DAYS say how long they are kept.",
    )
    def maintenance() -> None:
        maintain()

    return maintenance


def _maintain(context: dg.OpExecutionContext, names: DefinitionNames) -> None:
    settings = names.service_router(context.resources).settings()
    keep = timedelta(days=settings.retention_days)
    with Reconciler.open(settings, context.instance, names) as reconciler:
        dead = reconciler.partitions.fail_dead_runs()
        with reconciler.due.planning():
            deleted_documents = reconciler.deletion.delete_unpublished()
            reconciler.partitions.drop_removed(reconciler.deletion)
        retention = Retention(reconciler.database)
        deleted = retention.delete_old_rows(keep=keep, cache=timedelta(days=settings.cache_days))
        old_runs = retention.runs_without_events(keep)
        for run_id in old_runs:
            context.instance.compute_log_manager.delete_logs(prefix=[run_id])
            context.instance.delete_run(run_id)
        retention.refresh()
        ledger = Ledger(reconciler.database, spend_limits_of(settings))
        repaired = repair_windows(reconciler.database, ledger.now, context.run.run_id, recent=None)
    done = {
        "documents that were gone": deleted_documents,
        "runs whose process was gone": len(dead),
        **deleted,
        "runs": len(old_runs),
        "budget windows that were corrected": len(repaired),
    }
    for kind, count in done.items():
        fields: dict[str, str | int] = {"kind": kind, "count": count}
        message = f"{kind}: {count:,}"
        log_event(MAINTENANCE_DONE, message, fields, run_id=context.run.run_id, log=context.log)
    context.add_output_metadata({kind: dg.MetadataValue.int(n) for kind, n in done.items()})


def make_nightly_maintenance(
    cron: str, maintenance: dg.JobDefinition, names: DefinitionNames
) -> dg.ScheduleDefinition:
    """Create the schedule of the job.

    Args:
        cron: the cron expression, in UTC.
        maintenance: the job.
        names: keys and names of the definitions.
    """
    return dg.ScheduleDefinition(
        name=names.name("nightly_maintenance"),
        job=maintenance,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Deletes old rows, and refreshes the index.",
    )
