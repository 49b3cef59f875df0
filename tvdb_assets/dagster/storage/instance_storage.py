"""Dagster's storage in the project's Postgres, which is started if necessary.

What belongs here: the class that ``dagster.yaml`` names, and changes of Dagster's storage for runs
of a thousand partitions. What does not: the project's own tables, and private parts of Dagster
(`compat`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import stamina
from dagster import DagsterEventType, EventLogEntry, Field, RunsFilter
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from sqlalchemy import Engine, create_engine, text

from tvdb_assets.dagster import compat
from tvdb_assets.dagster.backfill_tags import RESUMED_TAG, RESUMES_TAG
from tvdb_assets.dagster.run_retries import WAIT_SECONDS, is_lost_database
from tvdb_assets.dagster.storage.command_exit import note_waiting_documents
from tvdb_assets.lifecycle import DocumentStatus
from tvdb_assets.repositories.database import (
    KEEPALIVE_SECONDS,
    database_url,
    instance_url,
    prepare,
)
from tvdb_assets.settings import load_settings

EVENT_BATCH = "1000"
"""Maximum number of events in a batch of Dagster; a batch is stored by one statement."""
_DAGSTER_VARIABLES = {
    "DAGSTER_EVENT_BATCH_SIZE": EVENT_BATCH,
    # A backfill waits for a code server that is restarted, and does not fail because the server's
    # assets can't be seen.
    "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1",
    # A backfill is evaluated again after an error of the database, every 30 seconds: for an hour.
    "DAGSTER_MAX_ASSET_BACKFILL_RETRIES": "120",
}


class ProjectPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` on the database of the settings.

    ``dagster.yaml`` can't hold the URL: it may be an embedded server that is not started yet.
    So the URL is resolved when Dagster loads its instance, in each of its processes.

    Raises:
        ConfigurationError: a setting is bad.
        StorageError: the database can't be reached, or is too old.
    """

    def __init__(self, postgres_url: str, inst_data: Any = None) -> None:
        """Create the three storages, which share one engine."""
        # The storages that this creates are replaced, so they need not check their tables.
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        self._events = BatchingEventLogStorage(postgres_url)
        self._runs = HaltAwareRunStorage(postgres_url)
        self._schedules = PostgresScheduleStorage(postgres_url)
        compat.share_engine(_engine(postgres_url), self._events, self._runs, self._schedules)

    @property
    def event_log_storage(self) -> BatchingEventLogStorage:
        """The project's event log storage."""
        return self._events

    @property
    def run_storage(self) -> HaltAwareRunStorage:
        """The project's run storage."""
        return self._runs

    @property
    def schedule_storage(self) -> PostgresScheduleStorage:
        """Dagster's own schedule storage."""
        return self._schedules

    @classmethod
    def config_type(cls) -> dict[str, Field]:
        """Nothing is required: everything comes from the settings."""
        return {"url": Field(str, is_required=False, description="Overrides TVDB_DATABASE_URL.")}

    @classmethod
    def from_config_value(
        cls, inst_data: Any, config_value: Mapping[str, Any]
    ) -> ProjectPostgresStorage:
        """Create the storage that ``dagster.yaml`` names."""
        url = config_value.get("url")
        settings = load_settings(**({"database_url": url} if url else {}))
        prepare(database_url(settings))
        # Dagster has no other options for these, and reads the variables at each use.
        for name, value in _DAGSTER_VARIABLES.items():
            os.environ.setdefault(name, value)
        return cls(instance_url(settings), inst_data)


def _engine(url: str) -> Engine:
    """Create an engine that keeps its connection open, for all three storages.

    Dagster's own opens and closes a connection for each statement, which takes longer than most of
    the statements: a run of a thousand documents opened 170.
    """
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=-1,
        # A restarted server or a firewall may have closed the connection.
        pool_pre_ping=True,
        connect_args={"keepalives_idle": KEEPALIVE_SECONDS},
    )


class BatchingEventLogStorage(PostgresEventLogStorage):
    """Stores planned and finished asset events with one statement for each batch.

    `PostgresEventLogStorage` stores planned events one by one. For a batch of several assets, it
    only records the newest event of the last asset, so that the others would seem to have none.
    """

    def dispose(self) -> None:
        """Dispose of the storage, and close the shared engine; Dagster only calls this storage."""
        super().dispose()
        compat.close_engine(self)

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event; a successful run may set the exit code, see `command_exit`.

        If the database is lost, it is stored when the database is back: the step whose event could
        not be stored would count as failed, though its documents are done. An event whose commit
        got no answer may be stored twice.
        """
        for attempt in stamina.retry_context(
            on=is_lost_database, attempts=None, timeout=WAIT_SECONDS, wait_initial=0.1, wait_max=2.0
        ):
            with attempt:
                super().store_event(event)
        if event.dagster_event_type is DagsterEventType.RUN_SUCCESS:
            note_waiting_documents(self.postgres_url, event.run_id)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store a batch of events, which may belong to several assets."""
        rest = [event for event in events if event.dagster_event_type not in _IN_BATCHES]
        if rest:
            super().store_event_batch(rest)
        batch = [event for event in events if event.dagster_event_type in _IN_BATCHES]
        if batch and "events in batches" not in compat.LEFT_TO_DAGSTER:
            compat.store_asset_events(self, batch)
            return
        for same_asset in _by_asset(batch):
            super().store_event_batch(same_asset)

    def add_dynamic_partitions(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> None:
        """Add dynamic partitions; the parent would compile a statement that contains all keys."""
        if self.changes_partitions_in_batches():
            self._change_partitions([_ADD_PARTITIONS], partitions_def_name, partition_keys)
        else:
            super().add_dynamic_partitions(partitions_def_name, partition_keys)

    def changes_partitions_in_batches(self) -> bool:
        """Whether `move_partitions_to_end` and `delete_partitions` work with this Dagster."""
        return "partitions in batches" not in compat.LEFT_TO_DAGSTER

    def move_partitions_to_end(self, partitions_def_name: str, keys: Sequence[str]) -> None:
        """Move dynamic partitions to the end, in the given order and in one transaction.

        A run has a range of adjacent partitions, so each document that is not adjacent to others
        would need its own run.
        """
        statements = [_DELETE_PARTITIONS, _ADD_PARTITIONS]
        self._change_partitions(statements, partitions_def_name, keys)

    def delete_partitions(self, partitions_def_name: str, keys: Sequence[str]) -> None:
        """Delete dynamic partitions in one statement; Dagster uses one for each partition."""
        self._change_partitions([_DELETE_PARTITIONS], partitions_def_name, keys)

    def partitions_between(self, partitions_def_name: str, first: str, last: str) -> list[str]:
        """The keys from ``first`` to ``last`` in Dagster's order; to the end if ``last`` is gone.

        Nothing if ``first`` is gone.
        """
        values = {"name": partitions_def_name, "first": first, "last": last}
        with self.index_connection() as connection:
            return [row[0] for row in connection.execute(text(_BETWEEN), values)]

    def partition_places(self, partitions_def_name: str, keys: Sequence[str]) -> dict[str, int]:
        """The places of those keys that exist among all partitions, in Dagster's order."""
        values = {"name": partitions_def_name, "keys": list(keys)}
        with self.index_connection() as connection:
            return {row[0]: row[1] for row in connection.execute(text(_PLACES), values)}

    def _change_partitions(
        self, statements: Sequence[str], partitions_def_name: str, keys: Sequence[str]
    ) -> None:
        with self.index_transaction() as connection:
            for statement in statements:
                values = {"name": partitions_def_name, "keys": list(keys)}
                connection.execute(text(statement), values)


def _by_asset(events: Sequence[EventLogEntry]) -> list[list[EventLogEntry]]:
    """Group events by type and asset, because Dagster records only the newest of a batch."""
    grouped: dict[object, list[EventLogEntry]] = {}
    for event in events:
        asset = event.get_dagster_event().asset_key
        grouped.setdefault((event.dagster_event_type, asset), []).append(event)
    return list(grouped.values())


_ADD_PARTITIONS = """
INSERT INTO dynamic_partitions (partitions_def_name, partition)
SELECT :name, key FROM unnest(CAST(:keys AS text[])) WITH ORDINALITY AS k(key, place)
ORDER BY place ON CONFLICT DO NOTHING
"""
_DELETE_PARTITIONS = """
DELETE FROM dynamic_partitions
WHERE partitions_def_name = :name AND partition = ANY(CAST(:keys AS text[]))
"""
_BETWEEN = """
SELECT partition FROM dynamic_partitions
WHERE partitions_def_name = :name
  AND id >= (SELECT id FROM dynamic_partitions
    WHERE partitions_def_name = :name AND partition = :first)
  AND id <= coalesce((SELECT id FROM dynamic_partitions
    WHERE partitions_def_name = :name AND partition = :last), 9223372036854775807)
ORDER BY id
"""
_PLACES = """
SELECT partition, place FROM (
    SELECT partition, row_number() OVER (ORDER BY id) AS place FROM dynamic_partitions
    WHERE partitions_def_name = :name
) ordered WHERE partition = ANY(CAST(:keys AS text[]))
"""


class HaltAwareRunStorage(PostgresRunStorage):
    """Keeps a backfill unfinished while its documents wait for a budget, or for another run.

    Dagster queries the unfinished runs of a backfill. If there is none and a partition is not
    materialized, Dagster marks the backfill as failed. A budget halt is not a failure, so a run
    that deferred documents is returned as an unfinished run. Nor is it a failure of the documents
    that a run was killed; see `interrupted_runs`.
    """

    def get_run_ids(
        self,
        filters: RunsFilter | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Sequence[str]:
        """Get run ids; if a backfill has no unfinished run, runs that deferred its documents."""
        found: Sequence[str] = super().get_run_ids(filters, cursor, limit)
        if found or filters is None or not compat.asks_for_unfinished_runs(filters):
            return found
        backfill_id = filters.tags.get(compat.BACKFILL_ID_TAG)
        backfill = self.get_backfill(backfill_id) if isinstance(backfill_id, str) else None
        # Documents of a cancelled backfill no longer wait.
        if backfill is None or not compat.is_requested(backfill):
            return found
        with self.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT DISTINCT d.run_id FROM tvdb.documents d"
                    " JOIN run_tags t ON t.run_id = d.run_id AND t.key = :key AND t.value = :id"
                    " WHERE d.status = :deferred LIMIT 1"
                ),
                {
                    "key": compat.BACKFILL_ID_TAG,
                    "id": backfill_id,
                    "deferred": DocumentStatus.DEFERRED.value,
                },
            )
            if waiting := [row[0] for row in rows]:
                return waiting
            rows = connection.execute(
                text(_INTERRUPTED),
                {
                    "key": compat.BACKFILL_ID_TAG,
                    "id": backfill_id,
                    "reason": compat.RUN_FAILURE_REASON_TAG,
                    "retries": compat.RETRY_ON_FAILURE_TAG,
                    "continued": [compat.AUTO_RETRY_RUN_ID_TAG, RESUMED_TAG, RESUMES_TAG],
                },
            )
            return [row[0] for row in rows]


# The same rule as `interrupted_runs.is_given_up`. If no sensor continues the runs within an hour,
# the backfill ends.
_INTERRUPTED = """
WITH mine AS (
    SELECT r.run_id, r.status, r.update_timestamp FROM runs r
    JOIN run_tags t ON t.run_id = r.run_id AND t.key = :key AND t.value = :id
)
SELECT run_id FROM mine WHERE status = 'FAILURE'
  AND NOT EXISTS (SELECT FROM run_tags t
    WHERE t.run_id = mine.run_id AND t.key = ANY(CAST(:continued AS text[])))
  AND (NOT EXISTS (SELECT FROM run_tags t
      WHERE t.run_id = mine.run_id AND t.key = :reason AND t.value = 'STEP_FAILURE')
    OR EXISTS (SELECT FROM run_tags t
      WHERE t.run_id = mine.run_id AND t.key = :retries AND t.value = 'true'))
  AND (SELECT max(update_timestamp) FROM mine) > now() AT TIME ZONE 'utc' - interval '1 hour'
LIMIT 1
"""

_IN_BATCHES = (
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_OBSERVATION,
)
