"""Dagster's default launcher, which can also cancel runs of `tvdb` commands.

What belongs here: the cancellation, and what another launcher of the project can do besides. What
does not: how such a run ends (`command_runs`), or Celery (`celery_run_launcher`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import dagster as dg

from tvdb_assets.dagster.compat import RunLauncher

IN_PROCESS_TAG = "tvdb/in_process"
"""Tag of a run that a `tvdb` command executes; Dagster does not notice if its process is killed."""


def is_command_run(run: dg.DagsterRun) -> bool:
    """Whether a command executes a run; Dagster copies its tags to the runs that retry it."""
    return IN_PROCESS_TAG in run.tags and run.parent_run_id is None


@runtime_checkable
class WatchesStarts(Protocol):
    """A launcher whose runs may wait long for a worker before they start.

    Dagster asks a launcher only for the health of runs that have started. The others it fails after
    ``start_timeout_seconds``, which is an hour where runs wait in a queue.
    """

    def is_lost_before_start(self, run: dg.DagsterRun) -> bool:
        """Whether the process that was to start a run is gone."""
        ...


class CommandAwareRunLauncher(RunLauncher):
    """`DefaultRunLauncher`, for an instance whose runs may be executed by a command.

    The default launcher asks the code server to end a run. A run of a command has none: the
    command sees that its run is cancelled, and ends it.
    """

    def terminate(self, run_id: str) -> bool:
        """Cancel a run; returns whether it was possible."""
        is_cancelled = cancel_command_run(self._instance, run_id)
        if is_cancelled is None:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        return is_cancelled

    @classmethod
    def from_config_value(
        cls, inst_data: Any, config_value: Mapping[str, Any]
    ) -> CommandAwareRunLauncher:
        """Create the launcher that ``dagster.yaml`` names."""
        return cls(inst_data=inst_data, **config_value)


def cancel_command_run(instance: dg.DagsterInstance, run_id: str) -> bool | None:
    """Cancel a run that a command executes; returns whether it was possible.

    Returns:
        None for any other run.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or not is_command_run(run):
        return None
    if run.is_finished:
        return False
    instance.report_run_canceling(run)
    return True
