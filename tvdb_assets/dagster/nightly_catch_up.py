"""`nightly_catch_up`: requests runs for all due documents, once a night, in few runs.

What belongs here: the schedule. What does not: which documents are due (`lifecycle`).
"""

from collections.abc import Iterator

import dagster as dg

from tvdb_assets.dagster.reconciler import MAX_RUNS_PER_TICK, Reconciler
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.lifecycle import Reason
from tvdb_assets.models import Stage


def make_nightly_catch_up(cron: str) -> dg.ScheduleDefinition:
    """Create the schedule.

    Args:
        cron: the cron expression, in UTC.
    """

    @dg.schedule(
        name="nightly_catch_up",
        target=dg.AssetSelection.assets(*(stage.value for stage in Stage)),
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Requests runs for every document that is missing, failed and due, degraded, "
        "stale or deferred, nearly finished and oldest first. A document in a queued or active run "
        "is left to that run. If no document is due, there is no run.",
    )
    def nightly_catch_up(
        context: dg.ScheduleEvaluationContext, service_router: ServiceRouterResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with (
            Reconciler.open(service_router.settings(), context.instance) as reconciler,
            reconciler.due.planning(),
        ):
            due = reconciler.plan(frozenset(Reason))
            # While a command has planned runs, partitions can't be moved, so each might need a run.
            most_runs = MAX_RUNS_PER_TICK if reconciler.due.is_planned() else None
            requests = reconciler.run_requests(due, "nightly_catch_up", most_runs=most_runs)
        yield from requests
        if not requests:
            yield dg.SkipReason("No document is due.")

    return nightly_catch_up
