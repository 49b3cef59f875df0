"""`nightly_catch_up`: requests runs for all due documents, once a night, in few runs.

What belongs here: the schedule. What does not: which documents are due (`lifecycle`).
"""

from collections.abc import Iterator

import dagster as dg

from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.reconciler import MAX_RUNS_PER_TICK, Reconciler
from tvdb_assets.lifecycle import Reason


def make_nightly_catch_up(cron: str, names: DefinitionNames) -> dg.ScheduleDefinition:
    """Create the schedule.

    Args:
        cron: the cron expression, in UTC.
        names: keys and names of the definitions.
    """
    name = names.name("nightly_catch_up")

    @dg.schedule(
        name=name,
        target=dg.AssetSelection.assets(*names.document_assets),
        required_resource_keys={names.service_router_key},
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Requests runs for every document that is missing, failed and due, degraded, "
        "stale or deferred, nearly finished and oldest first. A document in a queued or active run "
        "is left to that run. If no document is due, there is no run.",
    )
    def nightly_catch_up(
        context: dg.ScheduleEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings = names.service_router(context.resources).settings()
        with (
            Reconciler.open(settings, context.instance, names) as reconciler,
            reconciler.due.planning(),
        ):
            due = reconciler.plan(frozenset(Reason))
            # While a command has planned runs, partitions can't be moved, so each might need a run.
            most_runs = MAX_RUNS_PER_TICK if reconciler.due.is_planned() else None
            requests = reconciler.run_requests(due, name, most_runs=most_runs)
        yield from requests
        if not requests:
            yield dg.SkipReason("No document is due.")

    return nightly_catch_up
