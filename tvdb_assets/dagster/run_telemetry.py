"""The start and the end of a run in logs and traces, and our log events in Dagster's logs.

What belongs here: reports about a run as a whole. What does not: reports about its documents
(`run_events`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import time_ns

import dagster as dg

from tvdb_assets.errors import TvdbError
from tvdb_assets.repositories.runs import Run
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import LogFormat
from tvdb_assets.telemetry import (
    LOGGER,
    RUN_ENDED,
    RUN_STARTED,
    WORKERS_CONFINED,
    JsonFormatter,
    log_event,
)


@contextmanager
def report_run(run: Run, router: ServiceRouter) -> Iterator[None]:
    """Log and trace the start of a run, and its end with or without an error."""
    # In a run, Dagster captures its own logger and the loggers below it, in every thread.
    LOGGER.parent = dg.get_dagster_logger()
    started, code = time_ns(), None
    lineage = {"root_run_id": run.root_run_id, "parent_run_id": run.parent_run_id}
    log_event(RUN_STARTED, "Documents are being processed.", lineage, run_id=run.run_id)
    try:
        router.services.publish_gauges()
        yield
    except BaseException as error:
        code = error.code if isinstance(error, TvdbError) else type(error).__name__
        raise
    finally:
        router.services.publish_gauges()
        router.services.trace.run(started, run.root_run_id, run.parent_run_id, code)
        confinement = router.services.confinement()
        if confinement is not None:
            missing = confinement.missing
            log_event(
                WORKERS_CONFINED,
                f"Not enforced here: {', '.join(missing)}." if missing else "All protections hold.",
                {"missing": ",".join(missing)},
                run_id=run.run_id,
            )
        seconds = (time_ns() - started) / 1e9
        log_event(RUN_ENDED, "The run has ended.", {"seconds": seconds, "code": code},
             run_id=run.run_id)  # fmt: skip


def console_loggers(log_format: LogFormat) -> dict[str, dg.LoggerDefinition]:
    """The console loggers that replace Dagster's own; empty for the text format."""
    return {"console": _json_console} if log_format is LogFormat.JSON else {}


@dg.logger(
    config_schema={
        "log_level": dg.Field(str, default_value="INFO"),
        "name": dg.Field(str, default_value="tvdb.console"),
    },
    description="One JSON object a line, to stderr.",
)
def _json_console(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger(context.logger_config["name"], context.logger_config["log_level"])
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    return logger
