"""Composition of the code location: assets, jobs, sensors, schedules and resources.

What belongs here: composition. Settings are read when Dagster asks for the definitions;
nothing is opened until a run needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import dagster as dg

from tvdb_assets.dagster.batch_sensor import make_batch_sensor
from tvdb_assets.dagster.compat import definitions_with_options
from tvdb_assets.dagster.cost_sensor import make_cost_sensor
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.document_assets import document_assets
from tvdb_assets.dagster.document_intake import make_document_intake
from tvdb_assets.dagster.io_manager import PostgresIOManager
from tvdb_assets.dagster.manual_jobs import make_catch_up, make_retry_documents
from tvdb_assets.dagster.nightly_catch_up import make_nightly_catch_up
from tvdb_assets.dagster.nightly_maintenance import make_maintenance, make_nightly_maintenance
from tvdb_assets.dagster.operations_assets import make_cost_report, make_service_health
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.dagster.retrieval_evaluation import (
    make_nightly_evaluation,
    make_retrieval_evaluation,
)
from tvdb_assets.dagster.run_telemetry import console_loggers
from tvdb_assets.dagster.schedules import make_cost_report_hourly
from tvdb_assets.settings import Settings, load_settings


class _CodeLocation(dg.Definitions):
    """Definitions whose runs execute in one process, if they are a whole code location.

    A run is one step, and a process for it would only load Dagster a second time. Merged with the
    definitions of a project, they leave the executor to it, because one executor is for all assets.
    """

    def get_repository_def(self) -> dg.RepositoryDefinition:
        """What Dagster loads of the outermost definitions."""
        return self._with_executor.get_repository_def()

    @cached_property
    def _with_executor(self) -> dg.Definitions:
        in_process = dg.Definitions(executor=dg.in_process_executor)
        return dg.Definitions.merge(self, in_process)


@definitions_with_options
def defs(
    *,
    key_prefix: str | Sequence[str] | None = None,
    group: str | None = None,
    source: str | None = None,
) -> dg.Definitions:
    """All assets, with their jobs, sensors, schedules and resources.

    Args:
        key_prefix: prefix of the asset keys, and of the names of jobs, sensors, schedules and
            resources; its parts are separated by ``/``, or are the elements of a sequence. None
            means ``TVDB_ASSET_KEY_PREFIX``.
        group: name of the group of all assets; None means ``documents`` and ``operations``.
        source: folder or bucket that holds the documents; None means ``TVDB_SOURCE``.

    Raises:
        ConfigurationError: a setting or an argument is not valid.
    """
    given = {
        "asset_key_prefix": key_prefix
        if key_prefix is None or isinstance(key_prefix, str)
        else "/".join(key_prefix),
        "source": source,
    }
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    router = ServiceRouterResource(mode=None, parser_mode=None, embedder_mode=None, source=source)
    return definitions_with(router, settings, DefinitionNames.of(settings, group))


def definitions_with(
    service_router: ServiceRouterResource | dg.ResourceDefinition,
    settings: Settings,
    names: DefinitionNames,
) -> dg.Definitions:
    """All assets, with the given service router.

    Args:
        service_router: the resource, or its definition.
        settings: when sensors and schedules run, and the size of a run.
        names: keys and names of the definitions.
    """
    maintenance = make_maintenance(names)
    return _CodeLocation(
        sensors=[
            make_cost_sensor(settings.sensor_seconds, names),
            make_document_intake(settings.intake_seconds, names),
            make_batch_sensor(settings.batch_seconds, names),
        ],
        assets=[
            document_assets(settings.run_partitions, names),
            make_service_health(names),
            make_cost_report(names),
            make_retrieval_evaluation(names),
        ],
        schedules=[
            make_nightly_catch_up(settings.catch_up_cron, names),
            make_nightly_maintenance(settings.maintenance_cron, maintenance, names),
            make_cost_report_hourly(names),
            *(
                [make_nightly_evaluation(settings.evaluation_cron, names)]
                if settings.evaluation_queries is not None
                else []
            ),
        ],
        jobs=[make_retry_documents(names), make_catch_up(names), maintenance],
        loggers=console_loggers(settings.log_format) or None,
        resources={
            names.service_router_key: service_router,
            names.io_manager_key: PostgresIOManager(key_prefix=list(names.key_prefix)),
        },
    )
