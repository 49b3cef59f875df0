"""What a run tells before it starts: that its documents cost more than is left of the budget.

What belongs here: whose documents are told of, and where. What does not: the estimate
(`ingestion.cost_forecast`).
"""

import dagster as dg

from tvdb_assets.dagster.compat import BACKFILL_ID_TAG, target_partitions
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.ingestion.cost_forecast import CostForecast
from tvdb_assets.models import Stage
from tvdb_assets.telemetry import COST_FORECAST, log_event

FORECAST_TAG = "tvdb/outlook"
"""Of a run whose launch has told it already: in these words, or none where all fits."""
_LAST = dg.AssetKey(Stage.EMBEDDINGS.value)


def announce(context: dg.AssetExecutionContext, services: ServiceRouterResource) -> None:
    """Warn in the run's log, and by an observation of the cost report, before anything is paid."""
    told = context.run.tags.get(FORECAST_TAG)
    if told is not None or _LAST not in context.selected_asset_keys:
        if told:
            log_event(COST_FORECAST, told, run_id=context.run.run_id, log=context.log)
        return
    made = services.forecast_cost(_documents(context))
    if made is not None:
        log_event(COST_FORECAST, made.message(), run_id=context.run.run_id, log=context.log)
        observe(context.instance, made, context.run.run_id)


def observe(instance: dg.DagsterInstance, made: CostForecast, run_id: str = "") -> None:
    """Tell it where the budget's alerts are told."""
    instance.report_runless_asset_event(
        dg.AssetObservation(
            "cost_report",
            description=made.message(),
            metadata={
                "documents": made.documents,
                "documents_that_fit": made.fitting,
                "estimated_usd": float(made.cost_usd),
                "left_usd": float(made.left_usd),
                "run_id": run_id,
            },
        )
    )


def _documents(context: dg.AssetExecutionContext) -> list[str]:
    """The first run of a backfill tells of the whole backfill, every other one of its own part."""
    own = list(context.partition_keys)
    backfill_id = context.run.tags.get(BACKFILL_ID_TAG)
    backfill = context.instance.get_backfill(backfill_id) if backfill_id else None
    if backfill is None:
        return own
    [first] = context.instance.get_run_records(
        dg.RunsFilter(tags={BACKFILL_ID_TAG: backfill.backfill_id}), limit=1, ascending=True
    )
    if first.dagster_run.run_id != context.run.run_id:
        return own
    whole = target_partitions(backfill, context, _LAST)
    return own if whole is None else whole
