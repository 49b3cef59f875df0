"""`document_intake`: the sensor that finds new, changed and deleted files.

What belongs here: when the source is scanned, and the limit of one tick. What does not: the
comparison itself (`source_scanner`), or which runs are requested (`reconciler`).
"""

from collections.abc import Iterator

import dagster as dg

from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.reconciler import SCAN_SECONDS, Reconciler, is_evaluated_by_daemon
from tvdb_assets.lifecycle import INTAKE_REASONS
from tvdb_assets.redaction import display_path
from tvdb_assets.sources.source import Source
from tvdb_assets.telemetry import DELETION_HELD, SOURCE_SCANNED, SOURCE_UNLISTED, log_event

MAX_DOCUMENTS_PER_TICK = 100_000
"""New and changed documents after which the next tick continues, if the time is not over before."""


def make_document_intake(interval_seconds: int, names: DefinitionNames) -> dg.SensorDefinition:
    """Create the sensor.

    Args:
        interval_seconds: minimum time between two ticks, in seconds; with 0, the sensor is off
            until a person turns it on in the UI.
        names: keys and names of the definitions.
    """
    name, status = names.name("document_intake"), dg.DefaultSensorStatus

    @dg.sensor(
        name=name,
        target=dg.AssetSelection.assets(*names.document_assets),
        required_resource_keys={names.service_router_key},
        minimum_interval_seconds=interval_seconds or 60,
        default_status=status.RUNNING if interval_seconds else status.STOPPED,
        description="Finds new, changed and deleted files of the source, and requests runs for "
        "the documents that need one: these, those whose next attempt is due, those that a "
        "fallback embedded, and those that a person requested.",
    )
    def document_intake(
        context: dg.SensorEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings = names.service_router(context.resources).settings()
        with (
            Reconciler.open(settings, context.instance, names) as reconciler,
            reconciler.due.planning(waits=False) as is_planning,
        ):
            if not is_planning:
                yield dg.SkipReason("Another process is planning runs right now.")
                return
            if is_evaluated_by_daemon(context):
                reconciler.release_requests(name)
            # A source that stalls must not take the time of the whole tick.
            timeout = min(settings.source_timeout_seconds, SCAN_SECONDS)
            source = Source.open(settings.source, timeout)
            found = reconciler.scan_source(source, MAX_DOCUMENTS_PER_TICK)
            context.update_cursor(found.cursor())
            due = reconciler.plan(INTAKE_REASONS, reconciler.documents_per_tick)
            requests = reconciler.run_requests(due, name)
        for part in found.unlisted:
            where = display_path(part.document or settings.source)
            log_event(
                SOURCE_UNLISTED,
                part.message,
                {"document": where, "code": part.code},
                log=context.log,
            )
        if found.held:
            log_event(DELETION_HELD, found.message(), {"documents": found.held}, log=context.log)
        log_event(SOURCE_SCANNED, found.message(), log=context.log)
        yield from requests
        if not requests:
            yield dg.SkipReason(found.message())

    return document_intake
