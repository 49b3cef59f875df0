"""`batch_sensor`: submits batch jobs, polls them, and stores what they have done.

What belongs here: the sensor. What does not: the steps of a job (`embedding.batch_jobs`), or
publishing its documents, for which `cost_sensor` requests runs, as for all documents that waited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from tvdb_assets.core.message_counts import counted
from tvdb_assets.dagster.definition_names import DefinitionNames

_NAMED = 10
"""Jobs that a tick names."""


def make_batch_sensor(interval_seconds: int, names: DefinitionNames) -> dg.SensorDefinition:
    """Create the sensor.

    Args:
        interval_seconds: minimum time between two ticks, in seconds.
        names: keys and names of the definitions.
    """

    @dg.sensor(
        name=names.name("batch_sensor"),
        required_resource_keys={names.service_router_key},
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Advances the batch jobs of paid embedders (TVDB_BATCH): submits those that "
        "wait, stores the vectors of those that have ended with their cost, and cancels them while "
        "paid calls are paused. No run waits for a job.",
    )
    def batch_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.SkipReason]:
        router = names.service_router(context.resources)
        is_busy, jobs = router.advance_batches()
        message = _message(jobs)
        if is_busy:
            message = f"Another process advances the batch jobs right now. {message}"
        yield dg.SkipReason(message)

    return batch_sensor


def _message(jobs: Sequence[Mapping[str, Any]]) -> str:
    if not jobs:
        return "There is no batch job."
    lines = [
        f"{job['job_id']}: {counted(job['texts'], 'text')}, {job['state']}"
        + (f" as {job['batch_id']}, {job['status']}" if job["batch_id"] else "")
        + (f". {job['waits_message']}" if job["waits_message"] else "")
        for job in jobs[:_NAMED]
    ]
    if len(jobs) > _NAMED:
        lines.append(f"and {len(jobs) - _NAMED} more: see tvdb status.")
    return "\n".join([f"{counted(len(jobs), 'batch job')}:", *lines])
