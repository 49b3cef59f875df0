"""Schedules of assets about the pipeline itself.

What belongs here: schedules. What does not: the assets (`operations_assets`).
"""

import dagster as dg

from tvdb_assets.dagster.operations_assets import cost_report

cost_report_hourly = dg.ScheduleDefinition(
    name="cost_report_hourly",
    target=dg.AssetSelection.assets(cost_report),
    cron_schedule="2 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Updates the report on the cost of paid services.",
)
