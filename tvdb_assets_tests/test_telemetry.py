"""Only listed log events are logged, and tracing costs nothing until it is turned on."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tvdb_assets
from tvdb_assets import correlation, deprecation, tracing
from tvdb_assets.telemetry import (
    CALL_ENDED,
    DOCUMENTS_DONE,
    EVENTS,
    LOGGER,
    JsonFormatter,
    log_event,
    page,
)

ROOT = Path(__file__).parents[1]
PACKAGE = Path(tvdb_assets.__file__).parent
RUN = "7d0c0c5e-bca0-497c-87a0-8addaa17c638"


def test_the_page_of_log_events_is_current() -> None:
    assert (ROOT / "docs" / "logs.md").read_text("utf-8") == "\n".join(page()) + "\n"


def test_each_kind_of_event_has_one_name_and_is_logged_somewhere() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
    code = "\n".join(
        path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.name != "telemetry.py"
    )
    constants = re.findall(r"^([A-Z_]+) = LogEvent\(", (PACKAGE / "telemetry.py").read_text(), re.M)
    assert [name for name in constants if not re.search(rf"log_event\(\s*{name}\b", code)] == []


def test_code_logs_only_listed_events() -> None:
    logging_calls = re.compile(r"\blog(?:ger)?\.(?:debug|info|warning|error|exception|critical)\(")
    found = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if logging_calls.search(path.read_text("utf-8"))
    ]
    assert found == []


def test_an_event_accepts_only_listed_fields() -> None:
    with pytest.raises(ValueError, match="documents_done has no field text"):
        log_event(DOCUMENTS_DONE, "Done.", {"text": "of a document"})


def test_an_event_as_json_has_its_fields_and_no_secret() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    LOGGER.addHandler(handler)
    try:
        fields = {"code": "answered", "cost_usd": 0.00002, "service": None}
        log_event(CALL_ENDED, "Key sk-Qz7xK-canary-9m2t.", fields, run_id=RUN)
    finally:
        LOGGER.removeHandler(handler)
    line = json.loads(written.getvalue())
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT.*\+00:00", line.pop("time"))
    assert line == {
        "level": "info",
        "event": "call_ended",
        "run_id": RUN,
        "message": "Key [redacted].",
        "code": "answered",
        "cost_usd": 0.00002,
    }


@pytest.mark.parametrize("old", deprecation.LOG_EVENTS)
def test_a_renamed_event_has_both_names_as_json(old: str) -> None:
    new = deprecation.LOG_EVENTS[old].new
    [event] = [event for event in EVENTS if event.name == new]
    assert old not in {event.name for event in EVENTS}
    record = logging.LogRecord("tvdb", event.level, "", 0, "", (), None)
    record.tvdb_event = event.name
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["event_former"]) == (new, old)


@pytest.mark.parametrize(
    ("variables", "is_on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_turn_tracing_on(variables: dict[str, str], is_on: bool) -> None:
    assert tracing.is_on(variables) is is_on


def test_without_tracing_the_sdk_is_not_loaded() -> None:
    code = (
        "import sys, tvdb_assets.definitions, tvdb_assets.cli\n"
        "from tvdb_assets.tracing import TracedOperation, trace_of\n"
        "trace = trace_of('x'); trace.run(0, None, None, None); trace.flush()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"


def test_ids_of_traces_and_spans_are_derived_from_the_run() -> None:
    assert f"{correlation.trace_id(RUN):032x}" == RUN.replace("-", "")
    assert 0 < correlation.trace_id("no uuid") < 1 << 128
    one = correlation.span_id(RUN, "chunks", "a.md")
    assert one == correlation.span_id(RUN, "chunks", "a.md")
    assert 0 < one < 1 << 64
    assert len({one, correlation.span_id(RUN), correlation.span_id(RUN, "chunks")}) == 3


def test_a_request_id_identifies_run_and_request() -> None:
    part = correlation.new_part()
    sent = correlation.request_id("of the test\n", part)
    assert sent == f"of_the_test_.{part}"
    assert correlation.part_of(sent) == part
    assert correlation.part_of("req_123") is None
    with correlation.run_scope(RUN):
        assert correlation.current_run_id() == RUN
    assert correlation.current_run_id() is None
