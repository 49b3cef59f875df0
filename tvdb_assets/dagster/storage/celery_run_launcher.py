"""Dagster's launcher for Celery, which also knows runs of `tvdb` commands and lost workers.

What belongs here: which runs are lost, and the cancellation. What does not: how a lost run
continues (``run_retries`` of the instance, `dagster.interrupted_runs`). It needs the extra
``celery``; ``deploy/celery`` has the files of an instance that uses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from tvdb_assets.dagster.compat import RunHealth, RunWorkerStatus
from tvdb_assets.dagster.storage.run_launcher import cancel_command_run, is_command_run

ANSWER_SECONDS = 3.0
"""How long a worker may take to answer. Its main process answers while a run is executed."""
MOST_SILENT_CHECKS = 3
"""Checks in a row without an answer, after which a worker is lost; a restarted broker causes one or
two."""
# A code server creates an instance, and so a launcher, for each tick of a sensor.
_silent_checks: Counter[str] = Counter()


class CommandAwareCeleryRunLauncher(CeleryRunLauncher):
    """`CeleryRunLauncher`, for an instance whose runs may also be executed by a command.

    Celery keeps the state ``STARTED`` of a task whose worker is gone with its machine. So the
    worker is asked whether it still has the task; a worker that was restarted answers, but has not.
    """

    def terminate(self, run_id: str) -> bool:
        """Cancel a run; returns whether it was possible."""
        is_cancelled = cancel_command_run(self._instance, run_id)
        return super().terminate(run_id) if is_cancelled is None else is_cancelled

    def check_run_worker_health(self, run: dg.DagsterRun) -> RunHealth:
        """Whether the process that executes a run works."""
        if is_command_run(run):
            # No task executes it. If the command is killed, `cost_sensor` marks the run as failed.
            return RunHealth(RunWorkerStatus.RUNNING)
        health = super().check_run_worker_health(run)
        if health.status is not RunWorkerStatus.RUNNING:
            return health
        worker = self._worker_of(run)
        if worker is None:
            return health
        answers = self.celery.control.inspect([worker], timeout=ANSWER_SECONDS).query_task(
            run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        )
        if not answers:
            _silent_checks[run.run_id] += 1
            if _silent_checks[run.run_id] < MOST_SILENT_CHECKS:
                return health
            del _silent_checks[run.run_id]
            return RunHealth(RunWorkerStatus.FAILED, f"The Celery worker {worker} does not answer.")
        del _silent_checks[run.run_id]
        if any(answers.values()):
            return health
        # The task may have ended after its state was read.
        if (ended := super().check_run_worker_health(run)).status is not RunWorkerStatus.RUNNING:
            return ended
        return RunHealth(RunWorkerStatus.FAILED, f"The Celery worker {worker} was restarted.")

    def is_lost_before_start(self, run: dg.DagsterRun) -> bool:
        """Whether the process that was to start a run is gone; see `WatchesStarts`."""
        is_launched = DAGSTER_CELERY_TASK_ID_TAG in run.tags
        return is_launched and self.check_run_worker_health(run).status is RunWorkerStatus.FAILED

    def _worker_of(self, run: dg.DagsterRun) -> str | None:
        """The name of the worker that executes a run."""
        started = self.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG]).info
        return started.get("hostname") if isinstance(started, dict) else None

    @classmethod
    def from_config_value(
        cls, inst_data: Any, config_value: Mapping[str, Any]
    ) -> CommandAwareCeleryRunLauncher:
        """Create the launcher that ``dagster.yaml`` names."""
        return cls(inst_data=inst_data, **config_value)
