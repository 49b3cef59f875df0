"""A warning before a run pays, if its documents cost more than the remaining budget.

What belongs here: which documents are included, and where the warning is reported. What does not:
the estimate (`ingestion.cost_forecast`).
"""

import dagster as dg

from tvdb_assets.dagster.compat import BACKFILL_ID_TAG, target_partitions
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.ingestion.cost_forecast import CostForecast
from tvdb_assets.models import Stage
from tvdb_assets.telemetry import COST_FORECAST, log_event

FORECAST_TAG = "tvdb/outlook"
"""Tag with the warning that the command of a run has shown; empty if the budget suffices."""


def warn_of_cost(
    context: dg.AssetExecutionContext,
    router: ServiceRouterResource,
    names: DefinitionNames,
    *,
    is_deferrable: bool,
) -> None:
    """Warn in the run's log, and by an observation of the cost report, before anything is paid.

    Args:
        context: of the run.
        router: forecasts the cost.
        names: of the assets.
        is_deferrable: see `ServiceRouterResource.ingestion_run`.
    """
    announced, last = context.run.tags.get(FORECAST_TAG), names.stage(Stage.EMBEDDINGS)
    if announced is not None or last not in context.selected_asset_keys:
        if announced:
            log_event(COST_FORECAST, announced, run_id=context.run.run_id, log=context.log)
        return
    forecast = router.forecast_cost(_documents(context, last), is_deferrable=is_deferrable)
    if forecast is not None:
        log_event(COST_FORECAST, forecast.message(), run_id=context.run.run_id, log=context.log)
        report_forecast(context.instance, forecast, names, context.run.run_id)


def report_forecast(
    instance: dg.DagsterInstance, forecast: CostForecast, names: DefinitionNames, run_id: str = ""
) -> None:
    """Report a forecast as an observation of ``cost_report``, next to the budget alerts."""
    instance.report_runless_asset_event(
        dg.AssetObservation(
            names.asset("cost_report"),
            description=forecast.message(),
            metadata={
                "documents": forecast.documents,
                "documents_that_fit": forecast.fitting,
                "estimated_usd": float(forecast.cost_usd),
                "left_usd": float(forecast.left_usd),
                "run_id": run_id,
            },
        )
    )


def _documents(context: dg.AssetExecutionContext, last: dg.AssetKey) -> list[str]:
    """The documents of the run, or of the whole backfill for its first run."""
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
    whole = target_partitions(backfill, context, last)
    return own if whole is None else whole
