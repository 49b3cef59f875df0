"""Log events: what there is to tell, each under one name, with fields and never with text.

What belongs here: the list of events, and writing one. What does not: where logs go, which is
for Dagster and the process to say, or redaction itself.

An event's fields are listed with it, and no other is taken: none holds a document's text.
`docs/logs.md` is made of this list by ``python -m tvdb_assets.telemetry``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tvdb_assets.redaction import redact

LOGGER: Final = logging.getLogger("tvdb")
LOGGER.setLevel(logging.INFO)
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A kind of event."""

    name: str
    level: int
    meaning: str
    fields: tuple[str, ...] = ()
    """Besides ``run_id``."""


_ABOUT_CALL = ("service", "document", "code", "seconds", "status", "request_id")

RUN_STARTED = LogEvent(
    "run_started",
    logging.INFO,
    "A run begins to walk documents.",
    ("root_run_id", "parent_run_id"),
)
RUN_ENDED = LogEvent(
    "run_ended", logging.INFO, "It has ended; `code` is of the error that ended it.",
    ("seconds", "code"),
)  # fmt: skip
COST_FORECAST = LogEvent(
    "outlook", logging.WARNING, "The run's documents cost more than is left of the budget.", ()
)
DOCUMENTS_DONE = LogEvent(
    "documents_done", logging.INFO, "A batch is stored.", ("documents", "succeeded")
)
DOCUMENT_FAILED = LogEvent(
    "document_failed", logging.ERROR, "A document failed, with cause and remedy.",
    ("document", "code", "stage"),
)  # fmt: skip
DOCUMENT_WAITS = LogEvent(
    "document_waits", logging.WARNING, "A document waits for a budget, a rate or a service.",
    ("document", "code", "stage"),
)  # fmt: skip
DOCUMENTS_WAIT = LogEvent(
    "documents_wait", logging.WARNING, "How many documents of the run wait.",
    ("documents", "deferred"),
)  # fmt: skip
CALL_ENDED = LogEvent(
    "call_ended",
    logging.INFO,
    "One attempt of a paid call was answered, or was not; `code` is its outcome.",
    (*_ABOUT_CALL, "client_request_id", "attempt", "inputs", "units", "cost_usd"),
)
REQUEST_ENDED = LogEvent(
    "request_ended",
    logging.DEBUG,
    "A request that costs nothing was answered, or was not.",
    (*_ABOUT_CALL, "client_request_id"),
)
DOCUMENTS_ASKED = LogEvent(
    "documents_asked", logging.INFO, "A person asked for documents again, or for all that are due.",
    ("documents",),
)  # fmt: skip
INTAKE_LOOKED = LogEvent("intake_looked", logging.INFO, "What a look at the source found.")
MAINTAINED = LogEvent(
    "maintained", logging.INFO, "What maintenance deleted, by kind.", ("kind", "count")
)
JOURNAL_LOST = LogEvent(
    "journal_lost", logging.WARNING, "An event could not be stored for `tvdb trace`.", ("code",)
)
BUDGET_THRESHOLD = LogEvent(
    "budget_threshold", logging.WARNING, "50, 80 or 100 % of a day's budget are spent.", ()
)
ALERT_UNDELIVERED = LogEvent(
    "alert_undelivered", logging.ERROR, "The webhook did not take an alert; it is tried again.", ()
)
_HAPPENED = ("service", "document", "code", "seconds")
HAPPENED: Final = {
    event.name: event
    for event in (
        LogEvent("rate_waited", logging.INFO, "A request stood in line for the service's limit.",
                 _HAPPENED),
        LogEvent("halted", logging.WARNING, "A limit of our own stood in the way; once a run for "
                 "each service and code.", _HAPPENED),
        LogEvent("batch_halved", logging.INFO, "What was refused, or too dear, as a whole is tried "
                 "in two parts.", _HAPPENED),
        LogEvent("job_resumed", logging.INFO, "A job that was submitted before is awaited.",
                 _HAPPENED),
        LogEvent("breaker_opened", logging.WARNING, "A service failed so often that it is left "
                 "alone for a while.", _HAPPENED),
        LogEvent("breaker_probed", logging.INFO, "One request finds out whether it is back.",
                 _HAPPENED),
        LogEvent("breaker_closed", logging.INFO, "It is back.", _HAPPENED),
        LogEvent("service_refused", logging.ERROR, "A service refused key, quota or model; nobody "
                 "asks it again for a while.", _HAPPENED),
    )
}  # fmt: skip
EVENTS: Final = (
    *(RUN_STARTED, RUN_ENDED, COST_FORECAST, DOCUMENTS_DONE, DOCUMENT_FAILED, DOCUMENT_WAITS),
    *(DOCUMENTS_WAIT, CALL_ENDED, REQUEST_ENDED, *HAPPENED.values()),
    *(
        INTAKE_LOOKED,
        DOCUMENTS_ASKED,
        MAINTAINED,
        BUDGET_THRESHOLD,
        ALERT_UNDELIVERED,
        JOURNAL_LOST,
    ),
)


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
        event: its kind.
        message: for people, in words of our own.
        fields: of those that the event lists; what is None is left out.
        run_id: under which it is found.
        log: Dagster's of a run or sensor, where there is one.

    Raises:
        ValueError: a field is not listed.
    """
    fields = fields or {}
    if unknown := set(fields) - set(event.fields):
        raise ValueError(f"{event.name} has no field {', '.join(sorted(unknown))}")
    if not log.isEnabledFor(event.level):
        return
    given = {name: _short(value) for name, value in fields.items() if value is not None}
    told = redact(message)
    tail = " ".join(f"{name}={value}" for name, value in given.items())
    log.log(
        event.level,
        "%s: %s%s",
        event.name,
        told,
        f" [{tail}]" if tail else "",
        extra={"tvdb_event": event.name, "tvdb_message": told, "tvdb_fields": given}
        | ({"tvdb_run_id": run_id} if run_id else {}),
    )


def _short(value: str | int | float) -> str | int | float:
    if isinstance(value, float):
        return round(value, 10)
    return redact(value)[:_LONGEST] if isinstance(value, str) else value


def write_to_stderr() -> None:
    """Have events written to stderr as JSON, one a line; for a process that Dagster is not in."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    LOGGER.addHandler(handler)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ours with their fields, Dagster's and others' with their message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        dagster: dict[str, Any] = getattr(record, "dagster_meta", None) or {}
        event = dagster.get("dagster_event")
        kind = getattr(event, "event_type_value", None)
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "event": getattr(record, "tvdb_event", None)
            or (f"dagster.{kind.lower()}" if kind else "message"),
            "run_id": getattr(record, "tvdb_run_id", None) or dagster.get("run_id"),
            "step": dagster.get("step_key"),
            "message": getattr(record, "tvdb_message", None) or redact(record.getMessage()),
            **getattr(record, "tvdb_fields", {}),
        }
        if record.exc_info:
            told["exception"] = record.exc_text or self.formatException(record.exc_info)
        present = {name: value for name, value in told.items() if value is not None}
        return json.dumps(present, ensure_ascii=False, default=str)


def page() -> Iterator[str]:
    """`docs/logs.md`, line by line."""
    yield "# Log events"
    yield ""
    yield (
        "Each kind of event has one name. In a run they go through Dagster's logging: to the run's "
        "log in the UI, and to the console as `TVDB_LOG_FORMAT` says. As `text` a line is the "
        "event's name, a sentence, and the fields in brackets; as `json` it is one object with "
        "`time`, `level`, `event`, `run_id`, `message` and the fields, and Dagster's own events "
        "are lines of the same form whose `event` begins with `dagster.`. With `json`, commands "
        "such as `tvdb ingest` write their events to stderr, too. What has the level debug is told "
        "where a program sets the logger `tvdb` to it."
    )
    yield ""
    yield "| Event | Level | Meaning | Fields besides `run_id` |"
    yield "|---|---|---|---|"
    for event in EVENTS:
        level = logging.getLevelName(event.level).lower()
        fields = ", ".join(f"`{name}`" for name in event.fields)
        yield f"| `{event.name}` | {level} | {event.meaning} | {fields} |"
    yield ""
    yield (
        "No field holds a document's text. `document` is its path, or what stands for a private "
        "one; see [telemetry.md](telemetry.md). This page is made by `make logs`."
    )


if __name__ == "__main__":
    print("\n".join(page()))
