"""Runs that a `tvdb` command executes are runs of a code location, as those of a daemon are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from tvdb_assets.dagster import command_runs, ingest
from tvdb_assets.dagster.storage.run_launcher import (
    IN_PROCESS_TAG,
    CommandAwareRunLauncher,
    is_command_run,
)
from tvdb_assets.errors import TvdbError
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


def test_a_run_of_a_command_has_the_origin_by_which_the_ui_shows_and_repeats_it(
    project: Project,
) -> None:
    [request] = project.tick()
    run_id = ingest.run(project.instance, request.tags, lambda _: None)
    run = project.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert project.searchable() == set(TEXTS)
    origin = run.remote_job_origin
    assert origin is not None
    assert origin.location_name == "tvdb_assets.definitions"
    assert origin.repository_origin.repository_name == "__repository__"
    assert origin.job_name == run.job_name
    # The timeline finds the runs of a code location by this tag.
    label = dg.RunsFilter(tags={".dagster/repository": "__repository__@tvdb_assets.definitions"})
    assert project.instance.get_run_ids(label) == [run_id]


def test_a_run_that_repeats_the_run_of_a_command_is_one_of_the_daemon(project: Project) -> None:
    [request] = project.tick()
    run_id = ingest.run(project.instance, request.tags, lambda _: None)
    run = project.instance.get_run_by_id(run_id)
    assert run is not None
    assert is_command_run(run)
    # Dagster copies the tags of the run.
    again = project.instance.create_run_for_job(
        project._repository().get_implicit_global_asset_job_def(),
        tags={**request.tags, IN_PROCESS_TAG: "true"},
        parent_run_id=run_id,
        root_run_id=run_id,
    )
    assert not is_command_run(again)


def test_a_person_can_cancel_the_run_of_a_command(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_runs, "_POLL_SECONDS", 0.05)
    launcher = CommandAwareRunLauncher()
    launcher.register_instance(project.instance)
    never = threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        [run_id] = run_ids
        launcher.terminate(run_id)
        # Ends at once, because the main thread is interrupted.
        never.wait(600)
        raise AssertionError("the run was not interrupted")

    run_ids: list[str] = []
    on_run: Callable[[str], None] = run_ids.append
    monkeypatch.setattr("tvdb_assets.dagster.document_assets.warn_of_cost", slow)
    [request] = project.tick()
    with pytest.raises(TvdbError, match="cancelled"):
        ingest.run(project.instance, request.tags, on_run)
    run = project.instance.get_run_by_id(run_ids[0])
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELED
