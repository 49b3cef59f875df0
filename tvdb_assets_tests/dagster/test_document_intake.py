"""The runs that the sensor `document_intake` requests, and their results."""

from __future__ import annotations

import os
import shutil

import dagster as dg
import pytest

from tvdb_assets.dagster.partitions import DocumentPartitions
from tvdb_assets.dagster.reconciler import Reconciler
from tvdb_assets.dagster.storage.run_launcher import IN_PROCESS_TAG
from tvdb_assets.definitions import defs
from tvdb_assets.lifecycle import INTAKE_REASONS
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.due_documents import DueDocuments
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


def test_new_changed_moved_and_deleted_files_need_few_runs(project: Project) -> None:
    first = project.tick()
    assert len(first) == 1
    assert sorted(project.covered(first)) == sorted(TEXTS)
    # Until the runs have ended, nothing is requested twice.
    assert project.tick() == []
    assert project.catch_up_tick() == []
    project.run(first)
    assert project.searchable() == project.materialized() == set(TEXTS)
    assert project.tick() == []

    # Far apart in Dagster's order, but one run.
    project.write("0.md", "# Note 0\n\nIt is different now.\n")
    project.write("5.md", "# Note 5\n\nIt is different now, too.\n")
    (project.documents / "3.md").rename(project.documents / "moved.md")
    (project.documents / "2.md").unlink()
    before = embedded(project)
    second = project.tick()
    assert "3.md" not in project.searchable()
    assert "2.md" not in project.searchable()
    assert len(second) == 1
    assert sorted(project.covered(second)) == ["0.md", "5.md", "moved.md"]
    project.run(second)
    assert embedded(project) - before == 2, "the text that moved is not embedded again"

    assert project.tick() == []
    left = {"0.md", "1.md", "4.md", "5.md", "moved.md"}
    assert project.searchable() == left
    assert set(project.instance.get_dynamic_partitions("documents")) == left
    assert set(project.registry.listed(str(project.documents))) == left


def embedded(project: Project) -> int:
    with project.database.transaction() as tx:
        row = tx.execute("SELECT count(*) FROM tvdb.embeddings").fetchone()
    assert row is not None
    return int(row[0])


def test_a_file_that_is_being_written_waits_for_the_next_tick(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_INTAKE_SETTLE_SECONDS", "3600")
    assert project.tick() == []
    assert project.registry.counts()["documents"]["total"] == 0
    an_hour_ago = (project.documents / "0.md").stat().st_mtime - 4_000
    os.utime(project.documents / "0.md", (an_hour_ago, an_hour_ago))
    # A copy that keeps the time of its original does not count as complete.
    assert project.tick() == []
    monkeypatch.setenv("TVDB_INTAKE_SETTLE_SECONDS", "0")
    assert len(project.covered(project.tick())) == len(TEXTS)


def test_a_file_that_was_forgotten_manually_is_ignored_until_it_changes(
    project: Project,
) -> None:
    project.run(project.tick())
    [known] = project.registry.find("0.md")
    DocumentDeletion(project.database).delete([known.document_id], is_manual=True)
    assert project.tick() == []
    assert project.searchable() == project.materialized() & set(
        project.instance.get_dynamic_partitions("documents")
    )
    project.write("0.md", "# Note 0\n\nIt is different now.\n")
    assert project.run(project.tick()) == ["0.md"]
    assert project.searchable() == set(TEXTS)


def test_a_folder_that_is_not_mounted_deletes_nothing(project: Project) -> None:
    project.run(project.tick())
    for name in TEXTS:
        (project.documents / name).unlink()
    with pytest.raises(Exception, match="contains no documents"):
        project.tick()
    assert project.searchable() == set(TEXTS)
    shutil.rmtree(project.documents)
    with pytest.raises(Exception, match="does not exist"):
        project.tick()
    assert project.searchable() == set(TEXTS)


def test_the_partition_of_a_deleted_document_stays_while_a_run_waits_to_start(
    project: Project,
) -> None:
    requests = project.tick()
    job = defs().resolve_implicit_global_asset_job_def()
    run = project.instance.create_run_for_job(job, tags=requests[0].tags)
    due = DueDocuments(project.database)
    partitions = DocumentPartitions(project.instance, due)
    assert partitions.under_way() == set(TEXTS)
    deletion = DocumentDeletion(project.database)
    [known] = project.registry.find("0.md")
    deletion.delete([known.document_id])
    partitions.drop_removed(deletion)
    assert "0.md" in project.instance.get_dynamic_partitions("documents")
    # The run starts, finds its range, and processes the rest of it.
    result = job.execute_in_process(
        instance=project.instance, tags=dict(requests[0].tags), raise_on_error=False
    )
    assert result.success
    assert project.searchable() == set(TEXTS) - {"0.md"}
    project.instance.delete_run(run.run_id)
    partitions.drop_removed(deletion)
    assert "0.md" not in project.instance.get_dynamic_partitions("documents")


def test_partitions_stay_where_they_are_while_a_command_has_planned_runs(
    project: Project,
) -> None:
    project.run(project.tick())
    due = DueDocuments(project.database)
    before = list(project.instance.get_dynamic_partitions("documents"))
    project.write("0.md", "# Note 0\n\nIt is different now.\n")
    project.write("5.md", "# Note 5\n\nIt is different now, too.\n")
    (project.documents / "3.md").unlink()
    with due.planned():
        requests = project.tick()
        assert len(requests) == 2, "because they lie apart and may not be moved"
        assert project.tick() == []
        assert project.instance.get_dynamic_partitions("documents") == before
    project.run(requests)
    assert project.tick() == []
    assert project.instance.get_dynamic_partitions("documents") == [
        key for key in before if key != "3.md"
    ]


def test_documents_without_a_run_in_one_tick_are_requested_at_the_next(project: Project) -> None:
    project.run(project.tick())
    for name in ("0.md", "2.md", "4.md"):
        project.write(name, "# Note\n\nIt is different now.\n")
    covered: list[str] = []
    with Reconciler.open(load_settings(), project.instance) as reconciler, reconciler.due.planned():
        reconciler.scan_source(Source.open(str(project.documents)), most=10)
        for _ in range(4):
            due = reconciler.plan(INTAKE_REASONS)
            covered += project.covered(reconciler.run_requests(due, "test", most_runs=1))
    assert sorted(covered) == ["0.md", "2.md", "4.md"], "one for each tick, and none twice"


def test_a_run_whose_process_is_gone_blocks_nothing(project: Project) -> None:
    requests = project.tick()
    run = project.instance.create_run_for_job(
        defs().resolve_implicit_global_asset_job_def(), tags=requests[0].tags
    )
    partitions = DocumentPartitions(project.instance, DueDocuments(project.database))
    # A run that was killed: started long ago, and never ended.
    project.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name),
        run.run_id,
        timestamp=1_700_000_000.0,
    )
    with DueDocuments(project.database).mark_run_alive(run.run_id):
        assert partitions.under_way() == set(TEXTS)
    assert partitions.under_way() == set()


def test_a_command_that_was_killed_before_its_run_started_blocks_nothing(
    project: Project,
) -> None:
    requests = project.tick()
    run = project.instance.create_run_for_job(
        defs().resolve_implicit_global_asset_job_def(),
        tags={**requests[0].tags, IN_PROCESS_TAG: "true"},
    )
    partitions = DocumentPartitions(project.instance, DueDocuments(project.database))
    assert partitions.under_way() == set(TEXTS), "it may be about to start"
    with project.database.transaction() as tx:
        tx.execute("UPDATE dagster.runs SET update_timestamp = update_timestamp - interval '6 min'")
    assert partitions.under_way() == set()
    assert partitions.fail_dead_runs() == [run.run_id]


def test_a_run_that_was_killed_after_it_was_launched_blocks_nothing(project: Project) -> None:
    requests = project.tick()
    run = project.instance.create_run_for_job(
        defs().resolve_implicit_global_asset_job_def(), tags=requests[0].tags
    )
    partitions = DocumentPartitions(project.instance, DueDocuments(project.database))
    long_ago = "UPDATE dagster.runs SET update_timestamp = update_timestamp - interval '6 min'"
    with project.database.transaction() as tx:
        tx.execute(long_ago)
    assert partitions.in_runs() == set(TEXTS), "it may be queued for as long as it takes"
    project.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_STARTING.value, job_name=run.job_name), run.run_id
    )
    assert partitions.in_runs() == set(TEXTS), "it may be about to start"
    with project.database.transaction() as tx:
        tx.execute(long_ago)
    with DueDocuments(project.database).mark_run_alive(run.run_id):
        assert partitions.in_runs() == set(TEXTS)
    assert partitions.in_runs() == set()
