"""Runs that a command executes in its own process."""

from __future__ import annotations

import pytest

from tvdb_assets.dagster import ingest
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


def test_a_run_parses_in_the_workers_that_it_is_given_and_leaves_them_running(
    project: Project,
) -> None:
    [request] = project.tick()
    with WorkerPool.of(load_settings()) as workers:
        ingest.run(project.instance, request.tags, lambda _: None, workers)
        assert project.searchable() == set(TEXTS)
        assert len(workers.process_ids()) == 1
