"""Runs that a `tvdb` command executes in its own process, as runs of a code location.

What belongs here: the origin of such a run, by which the UI shows it on the timeline and executes
it again, and its end when a person cancels it. What does not: which runs there are (`ingest`), or
the private parts of Dagster (`compat`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

from tvdb_assets.dagster import compat
from tvdb_assets.dagster.storage.run_launcher import IN_PROCESS_TAG

_CODE_LOCATION = "tvdb_assets.definitions"
_POLL_SECONDS = 2.0


def execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    *,
    run_id: str,
    tags: Mapping[str, str],
    assets: Sequence[dg.AssetKey],
    sensor: str,
) -> Any:
    """Execute a run of a job in this process; returns Dagster's result.

    A person who cancels the run in the UI interrupts this process, as Ctrl-C does.

    Args:
        job: the job, with its resources.
        instance: the instance in which the run is recorded.
        run_id: the id of the run.
        tags: its tags, which include its partitions.
        assets: the assets to materialize.
        sensor: a sensor of the code location that has the assets.
    """
    with _interrupted_when_cancelled(instance, run_id):
        return compat.execute_job(
            job.with_executor_def(dg.in_process_executor),
            instance,
            run_id=run_id,
            tags={**tags, IN_PROCESS_TAG: "true"},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            assets=assets,
            origin=compat.repository_origin(instance, sensor, _CODE_LOCATION),
        )


@contextmanager
def _interrupted_when_cancelled(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Interrupt the main thread if the run is cancelled in the block."""
    has_ended = threading.Event()
    thread = threading.get_ident()

    def watch() -> None:
        while not has_ended.wait(_POLL_SECONDS):
            run = instance.get_run_by_id(run_id)
            if run is not None and run.status is dg.DagsterRunStatus.CANCELING:
                # Not `interrupt_main`, which a thread that waits for a lock does not notice.
                signal.pthread_kill(thread, signal.SIGINT)
                return

    watcher = threading.Thread(target=watch, name="tvdb-cancellation", daemon=True)
    if threading.current_thread() is threading.main_thread():
        watcher.start()
    try:
        yield
    finally:
        has_ended.set()
        if watcher.is_alive():
            watcher.join()
