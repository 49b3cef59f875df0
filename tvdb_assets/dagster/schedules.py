"""Schedules of assets about the pipeline itself.

What belongs here: schedules. What does not: the assets (`operations_assets`).
"""

import dagster as dg

from tvdb_assets.dagster.definition_names import DefinitionNames


def make_cost_report_hourly(names: DefinitionNames) -> dg.ScheduleDefinition:
    """Create the schedule of the cost report.

    Args:
        names: keys and names of the definitions.
    """
    return dg.ScheduleDefinition(
        name=names.name("cost_report_hourly"),
        target=dg.AssetSelection.assets(names.asset("cost_report")),
        cron_schedule="2 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Updates the report on the cost of paid services.",
    )
