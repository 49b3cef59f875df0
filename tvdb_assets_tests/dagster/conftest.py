"""Fixtures of the tests of sensors, schedules and jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.repositories.database import Database
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.dagster.project import TEXTS, Project


@pytest.fixture
def project(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    (tmp_path / "documents").mkdir()
    for name, value in {
        "DAGSTER_HOME": str(tmp_path / "home"),
        "TVDB_SOURCE": str(tmp_path / "documents"),
        "TVDB_DATABASE_URL": database.url,
        "TVDB_SERVICE_MODE": "local",
        "TVDB_PARSE_WORKERS": "1",
        "TVDB_INTAKE_SETTLE_SECONDS": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with dagster_instance(load_settings()) as instance:
        made = Project(tmp_path, database, instance)
        for name, text in TEXTS.items():
            made.write(name, text)
        yield made
