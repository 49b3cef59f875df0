"""Schedules: what is made by the clock.

What belongs here: when. What does not: what is made (`assets`).
"""

import dagster as dg

from tvdb_assets.dagster.operations_assets import cost_report

cost_report_hourly = dg.ScheduleDefinition(
    name="cost_report_hourly",
    target=dg.AssetSelection.assets(cost_report),
    cron_schedule="2 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Draws what paid services cost.",
)
