"""``DAGSTER_HOME``: made ready, and opened as Dagster's instance."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tvdb_assets.repositories.database import project_home
from tvdb_assets.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

INSTANCE_FILE = "dagster.yaml"
INSTANCE_YAML = """\
storage:
  custom:
    module: tvdb_assets.dagster.storage.instance_storage
    class: ProjectPostgresStorage
    config: {}

# A run whose process was killed, also before it began, is started again, and goes on where it
# was. What fails in a step is not: each document's failure is on record, and each paid call has
# had its retries.
run_monitoring:
  enabled: true
run_retries:
  enabled: true
  max_retries: 3
  retry_on_asset_or_op_failure: false

# Looks of sensors and schedules, several a minute, are not kept for ever.
retention:
  sensor:
    purge_after_days:
      skipped: 2
      success: 30
      failure: 30
      started: 30
  schedule:
    purge_after_days: 90

telemetry:
  enabled: false

nux:
  enabled: false
"""


def prepare_home(settings: Settings) -> Path:
    """The home folder, made if need be, with an instance file: the project's, or a plain one."""
    home = project_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    mine = home / INSTANCE_FILE
    projects = home.parent / INSTANCE_FILE
    if settings.dagster_home is None and projects.is_file():
        # The project's file is the one that people edit.
        if not mine.exists() or mine.read_bytes() != projects.read_bytes():
            mine.write_bytes(projects.read_bytes())
    elif not mine.exists():
        mine.write_text(INSTANCE_YAML, "utf-8")
    return home


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """Dagster's instance of this project, which other processes see too."""
    from dagster import DagsterInstance

    os.environ["DAGSTER_HOME"] = str(prepare_home(settings))
    with DagsterInstance.get() as instance:
        yield instance
