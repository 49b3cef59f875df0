"""Composition of the code location: assets, jobs, sensors, schedules and resources.

What belongs here: composition. Settings are read when Dagster asks for the definitions;
nothing is opened until a run needs it.
"""

from __future__ import annotations

import dagster as dg

from tvdb_assets.dagster.cost_sensor import make_cost_sensor
from tvdb_assets.dagster.document_assets import IO_MANAGER_KEY, document_assets
from tvdb_assets.dagster.document_intake import make_document_intake
from tvdb_assets.dagster.io_manager import PostgresIOManager
from tvdb_assets.dagster.manual_jobs import catch_up, retry_documents
from tvdb_assets.dagster.nightly_catch_up import make_nightly_catch_up
from tvdb_assets.dagster.nightly_maintenance import maintenance, make_nightly_maintenance
from tvdb_assets.dagster.operations_assets import cost_report, service_health
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.dagster.retrieval_evaluation import (
    make_nightly_evaluation,
    retrieval_evaluation,
)
from tvdb_assets.dagster.run_telemetry import console_loggers
from tvdb_assets.dagster.schedules import cost_report_hourly
from tvdb_assets.settings import load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, with the default resources."""
    return definitions_with(ServiceRouterResource(mode=None, parser_mode=None, embedder_mode=None))


def definitions_with(
    service_router: ServiceRouterResource | dg.ResourceDefinition,
) -> dg.Definitions:
    """All assets, with the given service router.

    Args:
        service_router: the resource, or its definition.
    """
    settings = load_settings()
    return dg.Definitions(
        sensors=[
            make_cost_sensor(settings.sensor_seconds),
            make_document_intake(settings.intake_seconds),
        ],
        assets=[
            document_assets(settings.run_partitions, IO_MANAGER_KEY),
            service_health,
            cost_report,
            retrieval_evaluation,
        ],
        schedules=[
            make_nightly_catch_up(settings.catch_up_cron),
            make_nightly_maintenance(settings.maintenance_cron),
            cost_report_hourly,
            *(
                [make_nightly_evaluation(settings.evaluation_cron)]
                if settings.evaluation_queries is not None
                else []
            ),
        ],
        jobs=[retry_documents, catch_up, maintenance],
        loggers=console_loggers(settings.log_format) or None,
        resources={
            "service_router": service_router,
            IO_MANAGER_KEY: PostgresIOManager(),
        },
    )
