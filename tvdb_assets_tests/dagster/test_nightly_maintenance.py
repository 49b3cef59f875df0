"""The job `maintenance`: the rows that it deletes, and those that it keeps."""

from __future__ import annotations

import dagster as dg
import pytest

from tvdb_assets.definitions import defs
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


def test_maintenance_cuts_dagsters_log_back_and_its_view_of_partitions_stays(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_RETENTION_DAYS", "30")
    project.run(project.tick())
    project.write("0.md", "# Note 0\n\nIt reads otherwise now.\n")
    project.run(project.tick())
    dead = project.instance.create_run_for_job(
        defs().resolve_implicit_global_asset_job_def(), tags={"tvdb/in_process": "true"}
    )
    project.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=dead.job_name),
        dead.run_id,
        timestamp=1_700_000_000.0,
    )
    with project.database.transaction() as tx:
        tx.execute("UPDATE dagster.event_logs SET timestamp = timestamp - interval '1 year'")
    before = partition_events(project)
    result = defs().resolve_job_def("maintenance").execute_in_process(instance=project.instance)
    assert result.success
    # Of each asset and partition the newest materialization and plan.
    assert partition_events(project) == 2 * 3 * len(TEXTS) < before
    assert project.materialized() == set(TEXTS)
    assert project.catch_up_tick() == []
    ended = project.instance.get_run_by_id(dead.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE


def partition_events(project: Project) -> int:
    with project.database.transaction() as tx:
        row = tx.execute(
            "SELECT count(*) FROM dagster.event_logs WHERE partition IS NOT NULL"
        ).fetchone()
    assert row is not None
    return int(row[0])
