"""Prepares ``DAGSTER_HOME``, and opens it as a Dagster instance.

What belongs here: the home folder and its instance file. What does not: the settings of the
instance, which are in ``dagster.yaml`` next to this module. The file of that name at the top of a
clone is a link to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from tvdb_assets.repositories.database import claim_home
from tvdb_assets.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

INSTANCE_FILE = "dagster.yaml"


def instance_settings() -> str:
    """The settings of an instance, as YAML: storage, retries, retention."""
    return files(__package__).joinpath(INSTANCE_FILE).read_text("utf-8")


def prepare_home(settings: Settings) -> Path:
    """Create the home folder and its instance file if they are missing; returns the folder.

    In a clone, the instance file is a copy of the one at the top of the clone.
    """
    home = claim_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    instance_file = home / INSTANCE_FILE
    clone_file = home.parent / INSTANCE_FILE
    if settings.dagster_home is None and clone_file.is_file():
        # People edit the clone's file.
        if not instance_file.exists() or instance_file.read_bytes() != clone_file.read_bytes():
            instance_file.write_bytes(clone_file.read_bytes())
    elif not instance_file.exists():
        instance_file.write_text(instance_settings(), "utf-8")
    return home


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """Open the Dagster instance of this project, which all its processes share."""
    from dagster import DagsterInstance

    os.environ["DAGSTER_HOME"] = str(prepare_home(settings))
    with DagsterInstance.get() as instance:
        yield instance
