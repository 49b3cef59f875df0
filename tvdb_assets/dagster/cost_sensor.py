"""`cost_sensor`: warns before a budget is used up, and resumes what waited for it.

What belongs here: what Dagster does about money. What does not: halting. That needs no
sensor: a step that finds no money defers its paid part at its next reservation, does what is
free, and ends well. So nothing is overspent while this sensor does not tick, and when it
ticks again it asks for just what was deferred.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from tvdb_assets.dagster.reconciler import Reconciler
from tvdb_assets.dagster.resources import BudgetView, ServiceRouterResource
from tvdb_assets.models import Stage
from tvdb_assets.reporting.budget_alerts import Alert
from tvdb_assets.telemetry import ALERT_UNDELIVERED, BUDGET_THRESHOLD, log_event


def make_cost_sensor(interval_seconds: int) -> dg.SensorDefinition:
    """The sensor.

    Args:
        interval_seconds: between two ticks, at least.
    """

    @dg.sensor(
        name="cost_sensor",
        target=dg.AssetSelection.assets(*(stage.value for stage in Stage)),
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Warns at 50, 80 and 100 % of the day's budget for paid services, and resumes "
        "the documents that waited for it: when the day turns, a limit is raised or a pause ends.",
    )
    def cost_sensor(
        context: dg.SensorEvaluationContext, service_router: ServiceRouterResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with service_router.budget_view() as money:
            money.alert(partial(_tell, context))
            for failure in money.deliver():
                log_event(ALERT_UNDELIVERED, failure, log=context.log)
            due = money.due(changed=_limits_changed(context, money))
            waiting = money.waiting()
        if not due:
            yield dg.SkipReason(f"{money.pace.message()} {waiting:,} documents wait.")
            return
        with (
            Reconciler.open(service_router.settings(), context.instance) as reconciler,
            reconciler.due.planning(waits=False) as is_mine,
        ):
            if not is_mine:
                yield dg.SkipReason("Another process is planning runs right now.")
                return
            in_runs = reconciler.partitions.in_runs()
            left = [document for document in due if document.partition_key not in in_runs]
            requests = reconciler.run_requests(left, "cost_sensor", resumes=True)
        yield from requests
        if not requests:
            # What waits in a backfill that was cancelled stays as it is.
            why = f"{waiting:,} documents wait." if left else "Documents are being resumed."
            yield dg.SkipReason(f"{money.pace.message()} {why}")

    return cost_sensor


def _tell(context: dg.SensorEvaluationContext, alert: Alert) -> None:
    message = f"{alert.threshold} % of the budget: {alert.pace.message()}"
    log_event(BUDGET_THRESHOLD, message, log=context.log)
    context.instance.report_runless_asset_event(_as_event(alert))


def _as_event(alert: Alert) -> dg.AssetObservation:
    return dg.AssetObservation(
        "cost_report",
        description=alert.pace.message(),
        metadata={
            "threshold_percent": alert.threshold,
            "service": alert.pace.service or "all",
            "spent_usd": float(alert.pace.spent_usd),
            "limit_usd": float(alert.pace.limit_usd),
        },
    )


def _limits_changed(context: dg.SensorEvaluationContext, money: BudgetView) -> datetime:
    """When the limits that hold now came to hold, whether by a command or by a setting."""
    known = json.loads(context.cursor) if context.cursor else {}
    if known.get("limits") != money.limits:
        changed = money.pace.now if known else datetime.fromtimestamp(0, UTC)
        known = {"limits": money.limits, "since": changed.isoformat()}
        context.update_cursor(json.dumps(known))
    return max(datetime.fromisoformat(known["since"]), money.changed_at)
