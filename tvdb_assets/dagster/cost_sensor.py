"""`cost_sensor`: warns before a budget is used up, and resumes documents that waited for it.

It also continues backfills whose runs were killed, because this sensor is always on.

What belongs here: alerts and resumption. What does not: halting, which needs no sensor. When the
budget is exhausted, a step defers its paid work at the next reservation, does the free work and
succeeds. So the budget is not exceeded between two ticks. At its next tick, the sensor requests
runs for the deferred documents only.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from tvdb_assets.core.message_counts import counted
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.reconciler import Reconciler, is_evaluated_by_daemon
from tvdb_assets.dagster.resources import BudgetView
from tvdb_assets.reporting.budget_alerts import Alert
from tvdb_assets.telemetry import ALERT_UNDELIVERED, BUDGET_THRESHOLD, log_event


def make_cost_sensor(interval_seconds: int, names: DefinitionNames) -> dg.SensorDefinition:
    """Create the sensor.

    Args:
        interval_seconds: minimum time between two ticks, in seconds.
        names: keys and names of the definitions.
    """
    name = names.name("cost_sensor")

    @dg.sensor(
        name=name,
        target=dg.AssetSelection.assets(*names.document_assets),
        required_resource_keys={names.service_router_key},
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Warns at 50, 80 and 100 % of the day's budget for paid services, and resumes "
        "the documents that waited for it: when the day turns, a limit is raised or a pause ends. "
        "Continues backfills whose runs were killed.",
    )
    def cost_sensor(
        context: dg.SensorEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        service_router = names.service_router(context.resources)
        with (
            service_router.budget_view() as budget,
            Reconciler.open(service_router.settings(), context.instance, names) as reconciler,
        ):
            budget.report_alerts(partial(_report_alert, context, names.asset("cost_report")))
            for failure in budget.deliver_alerts():
                log_event(ALERT_UNDELIVERED, failure, log=context.log)
            changed = _limits_changed(context, budget)
            waiting = budget.waiting()
            with reconciler.due.planning(waits=False) as is_planning:
                if not is_planning:
                    yield dg.SkipReason("Another process is planning runs right now.")
                    return
                if is_evaluated_by_daemon(context):
                    reconciler.release_requests(name)
                requests = reconciler.resume_interrupted(name)
                due = budget.due(changed, limit=1) if waiting else []
                left = due and budget.due(
                    changed,
                    limit=reconciler.documents_per_tick,
                    excluding=reconciler.partitions.in_runs(),
                )
                requests += reconciler.run_requests(left, name, resumes=True)
        yield from requests
        if not requests:
            # Documents that wait in a cancelled backfill are not resumed.
            state = (
                f"{counted(waiting, 'document waits', 'documents wait')}."
                if left or not due
                else "Documents are being resumed."
            )
            yield dg.SkipReason(f"{budget.pace.message()} {state}")

    return cost_sensor


def _report_alert(
    context: dg.SensorEvaluationContext, cost_report: dg.AssetKey, alert: Alert
) -> None:
    message = f"{alert.threshold} % of the budget: {alert.pace.message()}"
    log_event(BUDGET_THRESHOLD, message, log=context.log)
    context.instance.report_runless_asset_event(_as_event(alert, cost_report))


def _as_event(alert: Alert, cost_report: dg.AssetKey) -> dg.AssetObservation:
    return dg.AssetObservation(
        cost_report,
        description=alert.pace.message(),
        metadata={
            "threshold_percent": alert.threshold,
            "service": alert.pace.service or "all",
            "spent_usd": float(alert.pace.spent_usd),
            "limit_usd": float(alert.pace.limit_usd),
        },
    )


def _limits_changed(context: dg.SensorEvaluationContext, budget: BudgetView) -> datetime:
    """When the current limits took effect, by a command or by a setting."""
    known = json.loads(context.cursor) if context.cursor else {}
    if known.get("limits") != budget.limits:
        changed = budget.pace.now if known else datetime.fromtimestamp(0, UTC)
        known = {"limits": budget.limits, "since": changed.isoformat()}
        context.update_cursor(json.dumps(known))
    return max(datetime.fromisoformat(known["since"]), budget.changed_at)
