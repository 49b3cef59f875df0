"""The history of a run in Dagster's event log: its steps, its end, and the runs that retry it.

What belongs here: reading Dagster's event log. What does not: the project's own tables
(`reporting.run_history`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from dagster import DagsterEvent, DagsterEventType, DagsterInstance

from tvdb_assets.dagster.compat import BACKFILL_ID_TAG
from tvdb_assets.reporting.run_history import HistoryEvent
from tvdb_assets.repositories.runs import Run

_KINDS = {
    DagsterEventType.RUN_START: "run_started",
    DagsterEventType.RUN_SUCCESS: "run_ended",
    DagsterEventType.RUN_FAILURE: "run_ended",
    DagsterEventType.RUN_CANCELED: "run_ended",
    DagsterEventType.STEP_START: "step_started",
    DagsterEventType.STEP_SUCCESS: "step_ended",
    DagsterEventType.STEP_FAILURE: "step_ended",
    DagsterEventType.STEP_SKIPPED: "step_ended",
    DagsterEventType.STEP_UP_FOR_RETRY: "step_ended",
}
_PAGE = 1_000


def run_events(instance: DagsterInstance, run_ids: Sequence[str]) -> list[HistoryEvent]:
    """Starts and ends of these runs and of their steps, with durations in seconds."""
    return [event for run_id in run_ids for event in _events_of_run(instance, run_id)]


def lineage(instance: DagsterInstance, run_id: str) -> tuple[Run, list[str]] | None:
    """A run and the ids of its retries; None if Dagster has no such run."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return None
    group = instance.get_run_group(run_id)
    retries = [other for other in group[1] if other.parent_run_id == run_id] if group else []
    found = Run(run_id, run.root_run_id, run.parent_run_id, run.tags.get(BACKFILL_ID_TAG))
    return found, [other.run_id for other in retries]


def _events_of_run(instance: DagsterInstance, run_id: str) -> list[HistoryEvent]:
    started: dict[str | None, float] = {}
    found: list[HistoryEvent] = []
    cursor = None
    while True:
        page = instance.get_records_for_run(run_id, cursor, set(_KINDS), _PAGE)
        for record in page.records:
            entry = record.event_log_entry
            event = entry.dagster_event
            if event is None:
                continue
            kind = _KINDS[event.event_type]
            seconds = None
            if kind.endswith("_started"):
                started[event.step_key] = entry.timestamp
            elif event.step_key in started:
                seconds = entry.timestamp - started[event.step_key]
            time = datetime.fromtimestamp(entry.timestamp, UTC)
            found.append(HistoryEvent(time, kind, _message(event), run_id, seconds=seconds))
        if not page.has_more:
            return found
        cursor = page.cursor


def _message(event: DagsterEvent) -> str:
    kind = event.event_type_value.lower().replace("_", " ")
    message = f"{event.step_key}: {kind}" if event.step_key else kind
    error = getattr(event.event_specific_data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return message
    return f"{message}: {' '.join(error.message.split())}"[:500]
