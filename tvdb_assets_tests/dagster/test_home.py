"""The instance file: the project's, and the one of a home outside of a clone."""

from __future__ import annotations

from pathlib import Path

import yaml

from tvdb_assets.dagster.storage.home import INSTANCE_FILE, INSTANCE_YAML


def test_an_instance_outside_of_a_clone_is_set_as_the_projects_is() -> None:
    projects = Path(__file__).parents[2] / INSTANCE_FILE
    assert yaml.safe_load(INSTANCE_YAML) == yaml.safe_load(projects.read_text("utf-8"))
