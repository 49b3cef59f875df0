"""Dagster's storage as this project extends it, used by Dagster's own code.

These tests call the functions of Dagster that the extensions are for. If a new version of Dagster
queries the storage in another way, they fail here, and not at midnight in a backfill.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData
from dagster._core.execution.asset_backfill import backfill_runs_are_complete
from dagster._core.execution.backfill import (
    BulkActionStatus,
    PartitionBackfill,
    cancel_backfill_runs_and_cancellation_complete,
)
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import BACKFILL_ID_TAG

from tvdb_assets.dagster import compat
from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.repositories.database import Database
from tvdb_assets.settings import load_settings

BACKFILL = "of-a-night"
_log = logging.getLogger(__name__)


@pytest.fixture
def instance(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dagster_instance(load_settings()) as opened:
        opened.add_backfill(
            PartitionBackfill(
                backfill_id=BACKFILL,
                status=BulkActionStatus.REQUESTED,
                from_failure=False,
                tags={},
                backfill_timestamp=time.time(),
            )
        )
        yield opened


def run_of(instance: dg.DagsterInstance, backfill_id: str, status: dg.DagsterRunStatus) -> str:
    run_id = str(uuid4())
    tags = {BACKFILL_ID_TAG: backfill_id}
    instance.add_run(dg.DagsterRun("a_job", run_id=run_id, tags=tags, status=status))
    return run_id


def leave(database: Database, status: str, run_id: str) -> None:
    """The only document, as a run deferred it."""
    with database.transaction() as tx:
        tx.execute("DELETE FROM tvdb.documents")
        tx.execute(
            "INSERT INTO tvdb.documents (partition_key, source, path, size, etag, run_id, status,"
            " error_code, disposition, deferred_at)"
            " SELECT 'a.md', '/documents', 'a.md', 1, 'e', %(run)s, %(status)s, e.code,"
            " e.disposition, CASE %(status)s WHEN 'deferred' THEN now() END FROM (SELECT) one"
            " LEFT JOIN (VALUES ('deferred', 'paused', 'deferred'), ('failed', 'corrupt',"
            " 'terminal')) AS e(status, code, disposition) ON e.status = %(status)s",
            {"status": status, "run": run_id},
        )


def is_complete(instance: dg.DagsterInstance, backfill_id: str = BACKFILL) -> bool:
    return backfill_runs_are_complete(backfill_id, instance, _log)


def test_a_backfill_stays_unfinished_while_one_of_its_documents_waits(
    instance: dg.DagsterInstance, database: Database
) -> None:
    run_id = run_of(instance, BACKFILL, dg.DagsterRunStatus.SUCCESS)
    leave(database, "deferred", run_id)
    assert not is_complete(instance)
    # A document that waits in another backfill, or in none, has no effect.
    assert is_complete(instance, "another")
    leave(database, "deferred", run_of(instance, "another", dg.DagsterRunStatus.SUCCESS))
    assert is_complete(instance)
    for status in ("published", "failed"):
        leave(database, status, run_id)
        assert is_complete(instance)


def test_a_waiting_run_counts_as_unfinished_whatever_the_order_of_statuses(
    instance: dg.DagsterInstance, database: Database
) -> None:
    waiting = run_of(instance, BACKFILL, dg.DagsterRunStatus.SUCCESS)
    leave(database, "deferred", waiting)

    def found(statuses: Sequence[dg.DagsterRunStatus]) -> Sequence[str]:
        filters = dg.RunsFilter(tags={BACKFILL_ID_TAG: BACKFILL}, statuses=list(statuses))
        return instance.get_run_ids(filters, limit=1)

    assert found(NOT_FINISHED_STATUSES) == [waiting]
    assert found(NOT_FINISHED_STATUSES[::-1]) == [waiting]
    assert found(sorted(NOT_FINISHED_STATUSES, key=lambda status: status.value)) == [waiting]
    # The filter also includes failed runs, and there is none.
    assert found([dg.DagsterRunStatus.FAILURE, *NOT_FINISHED_STATUSES]) == [waiting]
    for place in range(len(NOT_FINISHED_STATUSES)):
        fewer = NOT_FINISHED_STATUSES[:place] + NOT_FINISHED_STATUSES[place + 1 :]
        assert found(fewer) == [], "which asks for something else"


def test_runs_that_are_under_way_are_found_as_by_dagster(
    instance: dg.DagsterInstance, database: Database
) -> None:
    leave(database, "deferred", run_of(instance, BACKFILL, dg.DagsterRunStatus.SUCCESS))
    started = run_of(instance, BACKFILL, dg.DagsterRunStatus.STARTED)
    filters = dg.RunsFilter(tags={BACKFILL_ID_TAG: BACKFILL})
    assert len(instance.get_run_ids(filters)) == 2
    filters = dg.RunsFilter(
        tags={BACKFILL_ID_TAG: BACKFILL}, statuses=[dg.DagsterRunStatus.STARTED]
    )
    assert instance.get_run_ids(filters) == [started]


def test_a_backfill_that_is_cancelled_waits_for_nothing(
    instance: dg.DagsterInstance, database: Database
) -> None:
    leave(database, "deferred", run_of(instance, BACKFILL, dg.DagsterRunStatus.SUCCESS))
    backfill = instance.get_backfill(BACKFILL)
    assert backfill is not None
    instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELING))
    assert cancel_backfill_runs_and_cancellation_complete(instance, BACKFILL, _log)


@pytest.mark.parametrize("left_to_dagster", [frozenset(), frozenset({"events in batches"})])
def test_events_of_a_batch_are_what_dagster_stores_one_by_one(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    left_to_dagster: frozenset[str],
) -> None:
    """Events of two assets in one batch: each asset has its newest, and all can be read."""
    monkeypatch.setattr(compat, "LEFT_TO_DAGSTER", left_to_dagster)
    keys = [dg.AssetKey("chunks"), dg.AssetKey("embeddings")]
    made = [
        dg.AssetMaterialization(key, partition=partition, metadata={"chunks": 3, "seconds": 0.5})
        for key in keys
        for partition in ("a.md", "b.md")
    ]
    storage = instance.event_log_storage
    run_id = run_of(instance, BACKFILL, dg.DagsterRunStatus.SUCCESS)
    entries = [
        dg.EventLogEntry(  # type: ignore[no-untyped-call]
            error_info=None,
            level="debug",
            user_message="",
            run_id=run_id,
            timestamp=time.time(),
            job_name="a_job",
            dagster_event=dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                job_name="a_job",
                event_specific_data=StepMaterializationData(materialization),
            ),
        )
        for materialization in made
    ]
    storage.store_event_batch(entries)

    for key in keys:
        assert set(instance.get_materialized_partitions(key)) == {"a.md", "b.md"}
        newest = instance.get_latest_materialization_event(key)
        assert newest is not None
        assert newest.asset_materialization == dg.AssetMaterialization(
            key, partition="b.md", metadata={"chunks": 3, "seconds": 0.5}
        )
    stored = [entry for entry in instance.all_logs(run_id) if entry.is_dagster_event]
    assert [entry.asset_materialization for entry in stored] == made


@pytest.mark.parametrize("left_to_dagster", [frozenset(), frozenset({"partitions in batches"})])
def test_partitions_keep_their_order_and_are_added_once(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    left_to_dagster: frozenset[str],
) -> None:
    monkeypatch.setattr(compat, "LEFT_TO_DAGSTER", left_to_dagster)
    instance.add_dynamic_partitions("documents", ["b.md", "a'\"{}%s:x.md", "c.md"])
    instance.add_dynamic_partitions("documents", ["c.md", "a.md"])
    instance.add_dynamic_partitions("documents", [])
    assert instance.get_dynamic_partitions("documents") == [
        *("b.md", "a'\"{}%s:x.md", "c.md", "a.md")
    ]
    assert instance.get_dynamic_partitions("others") == []


def _backends(database: Database, instance: dg.DagsterInstance) -> set[int]:
    """The number of Dagster's connections after a query of each storage."""
    assert instance.get_runs_count() == 0
    assert instance.get_dynamic_partitions("documents") == []
    assert instance.all_instigator_state() == []
    with database.transaction() as tx:
        rows = tx.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = ''"
        ).fetchall()
    return {row[0] for row in rows}


def test_all_storages_keep_one_connection_and_find_another_when_it_is_closed(
    instance: dg.DagsterInstance, database: Database
) -> None:
    [first] = _backends(database, instance)
    assert _backends(database, instance) == {first}
    with database.transaction() as tx:
        tx.execute("SELECT pg_terminate_backend(%s, 10000)", (first,))
    [second] = _backends(database, instance)
    assert second != first


def test_an_event_is_stored_after_its_connection_was_lost(
    instance: dg.DagsterInstance, database: Database
) -> None:
    with database.transaction() as tx:
        # Only the first statement ends its own connection; a sequence is not rolled back.
        tx.execute("CREATE SEQUENCE public.lost")
        tx.execute(
            "CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('public.lost') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid());"
            " END IF; RETURN NEW; END $$"
        )
        tx.execute(
            "CREATE TRIGGER lose BEFORE INSERT ON dagster.event_logs"
            " FOR EACH ROW EXECUTE FUNCTION public.lose()"
        )
    run_id = run_of(instance, BACKFILL, dg.DagsterRunStatus.STARTED)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_engine_event("a result", run)
    assert [entry.message for entry in instance.all_logs(run_id)] == ["a result"]
    with database.transaction() as tx:
        assert tx.execute("SELECT last_value FROM public.lost").fetchone() == (2,)
