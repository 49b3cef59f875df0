"""Log events: every kind of event with its fields, and the function that logs them.

What belongs here: the list of events, and logging an event. What does not: the destination of
logs, which Dagster and the process decide, or redaction.

An event accepts only the fields that are listed with it, and none of them has document text.
`docs/logs.md` is generated from this list by ``python -m tvdb_assets.telemetry``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tvdb_assets import deprecation
from tvdb_assets.redaction import printable, printable_json, redact

LOGGER: Final = logging.getLogger("tvdb")
LOGGER.setLevel(logging.INFO)
_MAX_FIELD_LENGTH = 500
"""Characters of a text field; a longer one is cut."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A kind of event."""

    name: str
    level: int
    meaning: str
    fields: tuple[str, ...] = ()
    """Names of the fields, in addition to ``run_id``."""


_CALL_FIELDS = ("service", "document", "code", "seconds", "status", "request_id")

RUN_STARTED = LogEvent(
    "run_started",
    logging.INFO,
    "A run starts to process documents.",
    ("root_run_id", "parent_run_id"),
)
RUN_ENDED = LogEvent(
    "run_ended", logging.INFO, "The run ended. `code` is the code of the error that ended it.",
    ("seconds", "code"),
)  # fmt: skip
COST_FORECAST = LogEvent(
    "cost_forecast",
    logging.WARNING,
    "The documents of the run are expected to cost more than is left of the budget.",
)
DOCUMENTS_DONE = LogEvent(
    "documents_done", logging.INFO, "A batch is stored.", ("documents", "succeeded")
)
DOCUMENT_FAILED = LogEvent(
    "document_failed", logging.ERROR, "A document failed, with cause and remedy.",
    ("document", "code", "stage"),
)  # fmt: skip
DOCUMENT_WAITS = LogEvent(
    "document_waits", logging.WARNING, "A document waits for a budget, a rate limit or a service.",
    ("document", "code", "stage"),
)  # fmt: skip
DOCUMENTS_WAIT = LogEvent(
    "documents_wait", logging.WARNING, "The number of documents of the run that wait.",
    ("documents", "deferred"),
)  # fmt: skip
CALL_ENDED = LogEvent(
    "call_ended",
    logging.INFO,
    "One attempt of a paid call ended. `code` is its outcome.",
    (*_CALL_FIELDS, "client_request_id", "attempt", "inputs", "units", "cost_usd"),
)
REQUEST_ENDED = LogEvent(
    "request_ended",
    logging.DEBUG,
    "A request without cost ended. `code` is its outcome.",
    (*_CALL_FIELDS, "client_request_id"),
)
DOCUMENTS_REQUESTED = LogEvent(
    "documents_requested",
    logging.INFO,
    "A user requested documents again, or all documents that are due.",
    ("documents",),
)
SOURCE_SCANNED = LogEvent("source_scanned", logging.INFO, "The result of a scan of the source.")
SOURCE_UNLISTED = LogEvent(
    "source_unlisted", logging.WARNING, "A part of the source can't be listed. The documents below "
    "it stay as they are.", ("document", "code"),
)  # fmt: skip
DELETION_HELD = LogEvent(
    "deletion_held", logging.WARNING, "So many documents are gone from the source that they are "
    "not deleted until `tvdb ingest --delete` confirms it.", ("documents",),
)  # fmt: skip
MAINTENANCE_DONE = LogEvent(
    "maintenance_done", logging.INFO, "How many entries maintenance deleted, by kind.",
    ("kind", "count"),
)  # fmt: skip
DAGSTER_FALLBACK = LogEvent(
    "dagster_fallback", logging.WARNING, "Dagster lacks a private part that makes it faster here; "
    "its own way is taken.",
)  # fmt: skip
LAUNCHER_SILENT = LogEvent(
    "launcher_silent", logging.WARNING, "The run launcher, or its broker, could not be asked which "
    "runs are lost. The next tick asks again.", ("code",)
)  # fmt: skip
CALL_EVENT_LOST = LogEvent(
    "call_event_lost", logging.WARNING, "An event could not be stored for `tvdb trace`.", ("code",)
)
SETTLEMENT_REPEATED = LogEvent(
    "settlement_repeated", logging.WARNING, "What was paid for could not be stored, because the "
    "database can't be used. It is stored again until it holds, or the process ends.",
    ("service", "code", "attempt"),
)  # fmt: skip
BUDGET_WINDOW_REPAIRED = LogEvent(
    "budget_window_repaired", logging.WARNING, "A budget window differed from the sum of its "
    "entries in the ledger, and was corrected.", ("service", "code", "period", "starts_at"),
)  # fmt: skip
WORKERS_CONFINED = LogEvent(
    "workers_confined",
    logging.INFO,
    "The run used parser workers. `missing` names the protections that this machine does not "
    "enforce: `files`, `programs`, `network`, `parent`, `account`.",
    ("missing",),
)
BUDGET_THRESHOLD = LogEvent(
    "budget_threshold", logging.WARNING, "50, 80 or 100 % of a day's budget is spent."
)
ALERT_UNDELIVERED = LogEvent(
    "alert_undelivered",
    logging.ERROR,
    "The webhook did not accept an alert. Delivery will be retried.",
)
HTTP_REQUEST = LogEvent(
    "http_request",
    logging.INFO,
    "The search service answered a request. `run_id` is the id of the request. The question and "
    "the names of documents are not logged.",
    ("method", "route", "status", "seconds", "code"),
)
_SERVICE_FIELDS = ("service", "document", "code", "seconds")
SERVICE_EVENTS: Final = {
    event.name: event
    for event in (
        LogEvent("rate_waited", logging.INFO, "A request waited for the service's rate limit.",
                 _SERVICE_FIELDS),
        LogEvent("halted", logging.WARNING, "A limit of this installation stopped a call; logged "
                 "once per run, service and code.", _SERVICE_FIELDS),
        LogEvent("batch_halved", logging.INFO, "A batch that was refused, or did not fit the "
                 "budget, is sent again in two parts.", _SERVICE_FIELDS),
        LogEvent("job_resumed", logging.INFO, "The run waits for a job that was submitted before.",
                 _SERVICE_FIELDS),
        LogEvent("breaker_opened", logging.WARNING, "A service failed repeatedly, so the circuit "
                 "breaker stops calls for a while.", _SERVICE_FIELDS),
        LogEvent("breaker_probed", logging.INFO, "One request probes whether the service works "
                 "again.", _SERVICE_FIELDS),
        LogEvent("breaker_closed", logging.INFO, "The service works again.", _SERVICE_FIELDS),
        LogEvent("service_refused", logging.ERROR, "A service refused the key, the quota or the "
                 "model, so it is not called for a while.", _SERVICE_FIELDS),
    )
}  # fmt: skip
"""Events of a service, by the kind that is stored for `tvdb trace`."""
EVENTS: Final = (
    *(RUN_STARTED, RUN_ENDED, COST_FORECAST, DOCUMENTS_DONE, DOCUMENT_FAILED, DOCUMENT_WAITS),
    *(DOCUMENTS_WAIT, CALL_ENDED, REQUEST_ENDED, *SERVICE_EVENTS.values()),
    *(SOURCE_SCANNED, SOURCE_UNLISTED, DELETION_HELD, DOCUMENTS_REQUESTED, MAINTENANCE_DONE),
    *(BUDGET_THRESHOLD, ALERT_UNDELIVERED, CALL_EVENT_LOST, SETTLEMENT_REPEATED),
    BUDGET_WINDOW_REPAIRED,
    *(DAGSTER_FALLBACK, LAUNCHER_SILENT, WORKERS_CONFINED, HTTP_REQUEST),
)
_FORMER_NAMES = {rename.new: old for old, rename in deprecation.LOG_EVENTS.items()}


def log_event(
    event: LogEvent,
    message: str,
    fields: Mapping[str, str | int | float | None] | None = None,
    *,
    run_id: str | None = None,
    log: logging.Logger = LOGGER,
) -> None:
    """Log an event.

    Args:
        event: the kind of event.
        message: a sentence for users; never document text or a foreign message.
        fields: values of the fields that the event lists; None leaves a field out.
        run_id: the id of the run or command.
        log: Dagster's logger of a run or sensor, if there is one.

    Raises:
        ValueError: the event does not list a field.
    """
    fields = fields or {}
    if unknown := set(fields) - set(event.fields):
        raise ValueError(f"{event.name} has no field {', '.join(sorted(unknown))}")
    if not log.isEnabledFor(event.level):
        return
    present = {name: _short(value) for name, value in fields.items() if value is not None}
    redacted = printable(redact(message))
    tail = " ".join(f"{name}={value}" for name, value in present.items())
    log.log(
        event.level,
        "%s: %s%s",
        event.name,
        redacted,
        f" [{tail}]" if tail else "",
        extra={"tvdb_event": event.name, "tvdb_message": redacted, "tvdb_fields": present}
        | ({"tvdb_run_id": run_id} if run_id else {}),
    )


def _short(value: str | int | float) -> str | int | float:
    if isinstance(value, float):
        return round(value, 10)
    return printable(redact(value)[:_MAX_FIELD_LENGTH]) if isinstance(value, str) else value


def write_to_stderr() -> None:
    """Write events to stderr as JSON lines, in a process where Dagster does not handle logs."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    LOGGER.addHandler(handler)


class JsonFormatter(logging.Formatter):
    """Formats one JSON object per line. Events of this package have fields, others a message."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as a line without a line break."""
        dagster: dict[str, Any] = getattr(record, "dagster_meta", None) or {}
        event = dagster.get("dagster_event")
        kind = getattr(event, "event_type_value", None)
        name: str | None = getattr(record, "tvdb_event", None)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "event": name or (f"dagster.{kind.lower()}" if kind else "message"),
            "event_former": _FORMER_NAMES.get(name or ""),
            "run_id": getattr(record, "tvdb_run_id", None) or dagster.get("run_id"),
            "step": dagster.get("step_key"),
            "message": getattr(record, "tvdb_message", None) or redact(record.getMessage()),
            **getattr(record, "tvdb_fields", {}),
        }
        if record.exc_info:
            line["exception"] = record.exc_text or self.formatException(record.exc_info)
        present = {name: value for name, value in line.items() if value is not None}
        return printable_json(present)


def page() -> Iterator[str]:
    """Generate the lines of `docs/logs.md`."""
    yield "# Log events"
    yield ""
    yield ("This page is generated from `tvdb_assets/telemetry.py` by `make logs`.")
    yield ""
    yield (
        "Each kind of event has one name. In a run, events go through Dagster's logging: to the "
        "run's log in the UI, and to the console in the format of `TVDB_LOG_FORMAT`. With `text`, "
        "a line has the name of the event, a sentence, and the fields in brackets. With `json`, a "
        "line is one object with `time`, `level`, `event`, `run_id`, `message` and the fields. "
        "Dagster's own events have the same form, and their `event` begins with `dagster.`. With "
        "`json`, commands such as `tvdb ingest` write their events to stderr, too. Events of the "
        "level debug are logged if a program sets the logger `tvdb` to that level."
    )
    yield ""
    yield "| Event | Level | Meaning | Fields in addition to `run_id` |"
    yield "|---|---|---|---|"
    for event in EVENTS:
        level = logging.getLevelName(event.level).lower()
        fields = ", ".join(f"`{name}`" for name in event.fields)
        yield f"| `{event.name}` | {level} | {event.meaning} | {fields} |"
    yield ""
    yield (
        "No field contains document text. `document` is a path, or the substitute for a private "
        "path; see [telemetry.md](telemetry.md)."
    )
    until = {rename.until for rename in deprecation.LOG_EVENTS.values()}
    if not until:
        return
    yield ""
    yield "## Renamed events"
    yield ""
    yield (
        "`event` has the new name. Until version "
        f"{max(until)}, a JSON line also has the old name as `event_former`, so that a program can "
        "match either one."
    )
    yield ""
    yield "| Old name | New name |"
    yield "|---|---|"
    for old, rename in deprecation.LOG_EVENTS.items():
        yield f"| `{old}` | `{rename.new}` |"


if __name__ == "__main__":
    print("\n".join(page()))
