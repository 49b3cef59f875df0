"""Backfills whose runs were killed, and that Dagster would give up."""

from __future__ import annotations

import time
from collections.abc import Sequence

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.definitions.run_request import RunRequest
from dagster._core.events import DagsterEvent, DagsterEventType, JobFailureData, RunFailureReason
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from tvdb_assets.core.partition_ranges import range_tags
from tvdb_assets.dagster import interrupted_runs
from tvdb_assets.dagster.backfill_tags import RESUMED_TAG, RESUMES_TAG
from tvdb_assets.dagster.compat import BACKFILL_ID_TAG, RETRY_ON_FAILURE_TAG, WILL_RETRY_TAG
from tvdb_assets.dagster.partitions import DocumentPartitions
from tvdb_assets.definitions import defs
from tvdb_assets.models import Stage
from tvdb_assets.repositories.due_documents import DueDocuments
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")

BACKFILL = "backfill"
KEYS = sorted(TEXTS)
_ASSETS = [dg.AssetKey(stage.value) for stage in Stage]


def start_backfill(project: Project) -> None:
    """A backfill of all documents, as it is when the daemon has requested its runs."""
    project.tick()  # registers the documents
    graph = defs().get_repository_def().asset_graph
    wanted = {AssetKeyPartitionKey(asset, key) for asset in _ASSETS for key in KEYS}
    project.instance.add_backfill(
        PartitionBackfill.from_asset_graph_subset(
            backfill_id=BACKFILL,
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=project.instance,
            asset_graph_subset=AssetGraphSubset.from_asset_partition_set(wanted, graph),
            title=None,
            description=None,
            run_config=None,
        )
    )


def start_run(project: Project, keys: Sequence[str], **tags: str) -> dg.DagsterRun:
    """A run of the backfill that has started."""
    run = project.instance.create_run_for_job(
        defs().resolve_implicit_global_asset_job_def(),
        tags={**range_tags(keys), BACKFILL_ID_TAG: BACKFILL, **tags},
        asset_selection=frozenset(_ASSETS),
    )
    started = DagsterEvent(DagsterEventType.RUN_START.value, job_name=run.job_name)
    project.instance.report_dagster_event(started, run.run_id)
    return run


def fail(
    project: Project, run: dg.DagsterRun, reason: RunFailureReason, *, gives_up: bool = True
) -> None:
    project.instance.report_run_failed(run, "", JobFailureData(None, failure_reason=reason))
    if gives_up:
        project.instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})


def is_unfinished(project: Project) -> bool:
    """Whether Dagster's daemon sees runs of the backfill that have not ended."""
    filters = dg.RunsFilter(statuses=NOT_FINISHED_STATUSES, tags={BACKFILL_ID_TAG: BACKFILL})
    return bool(project.instance.get_run_ids(filters, limit=1))


def resumes(project: Project) -> list[RunRequest]:
    return list(project.daemon_tick("cost_sensor").run_requests or [])


def tag(project: Project, run: dg.DagsterRun, name: str) -> str | None:
    found = project.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.tags.get(name)


def test_documents_of_a_run_that_was_given_up_get_another_run_of_the_backfill(
    project: Project,
) -> None:
    start_backfill(project)
    run = start_run(project, KEYS[:4])
    assert resumes(project) == [], "the run is active"
    fail(project, run, RunFailureReason.UNEXPECTED_TERMINATION)
    assert is_unfinished(project)
    [request] = resumes(project)
    assert project.covered([request]) == KEYS[:4]
    assert request.tags[BACKFILL_ID_TAG] == BACKFILL
    assert request.tags[RESUMES_TAG] == run.run_id
    assert is_unfinished(project), "until the documents are done"
    project.run([request])
    assert project.searchable() == set(KEYS[:4])
    assert resumes(project) == []
    assert tag(project, run, RESUMED_TAG) == "true"
    assert not is_unfinished(project)


def test_documents_that_were_published_before_dagster_knew_get_another_run(
    project: Project,
) -> None:
    start_backfill(project)
    run = start_run(project, KEYS[:4])
    # It published two documents, failed one, and was killed before it reported any of them.
    project.write(KEYS[3], "")
    project.run([RunRequest(tags=range_tags(KEYS[1:4]))])
    with project.database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.runs (run_id, root_run_id, backfill_id) VALUES (%s, %s, %s)",
            (run.run_id, run.run_id, BACKFILL),
        )
        tx.execute(
            "UPDATE tvdb.documents SET run_id = %s WHERE partition_key = ANY(%s)",
            (run.run_id, KEYS[1:4]),
        )
    fail(project, run, RunFailureReason.UNEXPECTED_TERMINATION)

    [request] = resumes(project)

    assert project.covered([request]) == KEYS[:3]
    project.run([request])
    assert project.searchable() == set(KEYS[:3])
    assert resumes(project) == []
    assert not is_unfinished(project)


def test_a_run_that_dagster_retries_is_left_to_dagster_for_a_while(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_backfill(project)
    run = start_run(project, KEYS[:2])
    fail(project, run, RunFailureReason.UNEXPECTED_TERMINATION, gives_up=False)
    assert tag(project, run, WILL_RETRY_TAG) == "true"
    assert resumes(project) == []
    # The daemon was killed before it retried the run, and will not do so any more.
    monkeypatch.setattr(interrupted_runs, "RETRY_WITHIN_SECONDS", -1.0)
    assert project.covered(resumes(project)) == KEYS[:2]
    assert tag(project, run, WILL_RETRY_TAG) == "false", "the backfill does not wait for it"


def test_a_run_whose_documents_failed_is_not_repeated(project: Project) -> None:
    start_backfill(project)
    failed = start_run(project, KEYS[:2])
    fail(project, failed, RunFailureReason.STEP_FAILURE)
    assert resumes(project) == []
    assert not is_unfinished(project)
    # Its step failed because the database was away.
    lost = start_run(project, KEYS[2:], **{RETRY_ON_FAILURE_TAG: "true"})
    fail(project, lost, RunFailureReason.STEP_FAILURE)
    assert is_unfinished(project)
    assert project.covered(resumes(project)) == KEYS[2:]


def test_a_backfill_of_assets_with_another_prefix_is_left_to_their_sensor(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_backfill(project)
    run = start_run(project, KEYS[:2])
    fail(project, run, RunFailureReason.UNEXPECTED_TERMINATION)
    monkeypatch.setenv("TVDB_ASSET_KEY_PREFIX", "kb")
    assert list(project.daemon_tick("kb__cost_sensor").run_requests or []) == []
    assert tag(project, run, RESUMED_TAG) is None
    assert is_unfinished(project)
    monkeypatch.delenv("TVDB_ASSET_KEY_PREFIX")
    assert project.covered(resumes(project)) == KEYS[:2]


def test_a_run_that_kills_each_process_is_given_up_at_last(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupted_runs, "MAX_RESUMES", 2)
    start_backfill(project)
    run = start_run(project, KEYS[:2])
    fail(project, run, RunFailureReason.UNEXPECTED_TERMINATION)
    for _ in range(2):
        [request] = resumes(project)
        fail(
            project,
            start_run(project, KEYS[:2], **{RESUMES_TAG: request.tags[RESUMES_TAG]}),
            RunFailureReason.UNEXPECTED_TERMINATION,
        )
    assert resumes(project) == []
    assert not is_unfinished(project)


def test_a_run_that_died_with_its_code_server_is_marked_as_failed(project: Project) -> None:
    start_backfill(project)
    run = start_run(project, KEYS)
    due = DueDocuments(project.database)
    partitions = DocumentPartitions(project.instance, due)
    assert partitions.fail_dead_runs() == [], "it may be about to take its lock"
    with project.database.transaction() as tx:
        tx.execute("UPDATE dagster.runs SET start_time = start_time - 400")
        tx.execute("UPDATE dagster.event_logs SET timestamp = timestamp - interval '400 seconds'")
        tx.execute(
            "UPDATE dagster.event_logs SET event = jsonb_set(event::jsonb, '{timestamp}',"
            " to_jsonb((event::jsonb ->> 'timestamp')::float - 400))::text"
        )
    with due.mark_run_alive(run.run_id):
        assert partitions.fail_dead_runs() == []
    assert partitions.fail_dead_runs() == [run.run_id]
