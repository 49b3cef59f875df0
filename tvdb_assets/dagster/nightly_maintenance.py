"""The job `maintenance`, and when it runs: what grows is cut back, what aged is refreshed.

What belongs here: the order of it, and telling what was done. What does not: what is deleted
(`repositories.retention`).
"""

from datetime import timedelta

import dagster as dg

from tvdb_assets.dagster.reconciler import Reconciler
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.repositories.retention import Retention
from tvdb_assets.telemetry import MAINTENANCE_DONE, log_event


@dg.op(
    name="maintain",
    out=dg.Out(dg.Nothing),
    description="Cuts back logs, histories and unused vectors, refreshes the index, ends runs "
    "whose process is gone, and says what it did.",
)
def _maintain(context: dg.OpExecutionContext, service_router: ServiceRouterResource) -> None:
    settings = service_router.settings()
    keep = timedelta(days=settings.retention_days)
    with Reconciler.open(settings, context.instance) as reconciler:
        dead = reconciler.partitions.fail_dead_runs()
        with reconciler.due.planning():
            swept = reconciler.deletion.delete_unpublished()
            reconciler.partitions.drop_removed(reconciler.deletion)
        retention = Retention(reconciler.database)
        deleted = retention.delete_old_rows(keep=keep, cache=timedelta(days=settings.cache_days))
        old_runs = retention.runs_without_events(keep)
        for run_id in old_runs:
            context.instance.compute_log_manager.delete_logs(prefix=[run_id])
            context.instance.delete_run(run_id)
        retention.refresh()
    done = {
        "documents that were gone": swept,
        "runs whose process was gone": len(dead),
        **deleted,
        "runs": len(old_runs),
    }
    for what, count in done.items():
        fields: dict[str, str | int] = {"kind": what, "count": count}
        message = f"{what}: {count:,}"
        log_event(MAINTENANCE_DONE, message, fields, run_id=context.run.run_id, log=context.log)
    context.add_output_metadata({what: dg.MetadataValue.int(n) for what, n in done.items()})


@dg.job(
    name="maintenance",
    description="Keeps tables and logs from growing for ever. TVDB_RETENTION_DAYS and "
    "TVDB_CACHE_DAYS say how long things are kept.",
)
def maintenance() -> None:
    """Cut back and refresh."""
    _maintain()


def make_nightly_maintenance(cron: str) -> dg.ScheduleDefinition:
    """The schedule of the job.

    Args:
        cron: when, in UTC.
    """
    return dg.ScheduleDefinition(
        name="nightly_maintenance",
        job=maintenance,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Cuts back what grows, and refreshes the index.",
    )
