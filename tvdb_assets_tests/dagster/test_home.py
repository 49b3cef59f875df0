"""The instance file: of a clone, of a home outside of a clone, and of an older version."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from tvdb_assets.dagster.storage.home import (
    INSTANCE_FILE,
    dagster_instance,
    instance_settings,
    prepare_home,
)
from tvdb_assets.dagster.storage.instance_storage import BatchingEventLogStorage
from tvdb_assets.deprecation import TvdbDeprecationWarning
from tvdb_assets.repositories.database import Database
from tvdb_assets.settings import load_settings

OF_COMMIT_BFD0FA2 = """\
# Dagster's storage is the project's own Postgres: embedded, or the one of TVDB_DATABASE_URL.
storage:
  custom:
    module: tvdb_assets.storage.instance
    class: ProjectPostgresStorage
    config: {}

run_monitoring:
  enabled: true
run_retries:
  enabled: true
  max_retries: 3
  retry_on_asset_or_op_failure: false

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


def test_the_instance_file_of_a_clone_is_the_one_of_the_package() -> None:
    of_clone = Path(__file__).parents[2] / INSTANCE_FILE
    assert of_clone.read_text("utf-8") == instance_settings()


def test_of_the_settings_of_commit_bfd0fa2_only_the_storages_module_has_another_name() -> None:
    before, now = yaml.safe_load(OF_COMMIT_BFD0FA2), yaml.safe_load(instance_settings())
    before["storage"]["custom"]["module"] = now["storage"]["custom"]["module"]
    new = {name: now.pop(name) for name in now.keys() - before.keys()}
    assert before == now
    assert new.keys() == {"run_launcher", "run_queue"}


def test_a_home_of_commit_bfd0fa2_opens_and_says_what_is_renamed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / INSTANCE_FILE).write_text(OF_COMMIT_BFD0FA2, "utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    monkeypatch.delitem(sys.modules, "tvdb_assets.storage.instance", raising=False)
    with (
        pytest.warns(TvdbDeprecationWarning, match=r"dagster\.storage\.instance_storage") as warned,
        dagster_instance(load_settings()) as instance,
    ):
        instance.add_dynamic_partitions("documents", ["a.md"])
        assert instance.get_dynamic_partitions("documents") == ["a.md"]
        assert isinstance(instance.event_log_storage, BatchingEventLogStorage)
    [warning] = [w.message for w in warned if isinstance(w.message, TvdbDeprecationWarning)]
    assert (warning.since, warning.until) == ("0.1.0", "0.2.0")
    assert (tmp_path / INSTANCE_FILE).read_text("utf-8") == OF_COMMIT_BFD0FA2


def test_a_new_home_gets_the_settings_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    home = prepare_home(load_settings())
    assert (home / INSTANCE_FILE).read_text("utf-8") == instance_settings()
