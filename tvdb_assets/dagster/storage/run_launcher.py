"""Dagster's default launcher, which can also cancel runs of `tvdb` commands.

What belongs here: the cancellation. What does not: how such a run ends (`command_runs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from tvdb_assets.dagster.compat import RunLauncher
from tvdb_assets.dagster.partitions import is_command_run


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
