"""Dagster's own storage in the project's Postgres, found or started when Dagster loads it.

What belongs here: the class that ``dagster.yaml`` names, and what Dagster's storage needs to
carry runs of a thousand partitions. What does not: the project's own tables.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
from dagster import DagsterEventType, EventLogEntry
from dagster._config import Field, UserConfigSchema
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES, RunsFilter
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from sqlalchemy import Connection, Engine, create_engine, text

from tvdb_assets.dagster.storage.event_packing import event_texts
from tvdb_assets.lifecycle import DocumentStatus
from tvdb_assets.repositories.database import (
    KEEPALIVE_SECONDS,
    database_url,
    instance_url,
    prepare,
)
from tvdb_assets.settings import load_settings

EVENT_BATCH = "1000"
"""Most events that Dagster hands over at once; a batch is one statement."""


class ProjectPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` on the database of the settings.

    ``dagster.yaml`` can't hold the URL: it may be an embedded server that is yet to start.
    So the URL is resolved when Dagster loads its instance, in each of its processes.

    Raises:
        ConfigurationError: a setting is bad.
        StorageError: the database can't be reached, or is too old.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        """As `DagsterPostgresStorage`, with materializations stored in batches."""
        # What this makes is replaced, and so has no tables to look for.
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        self._event_log_storage = BatchingEventLogStorage(postgres_url)
        self._run_storage = HaltAwareRunStorage(postgres_url)
        self._schedule_storage = PostgresScheduleStorage(postgres_url)
        engine = _engine(postgres_url)
        for storage in (self._event_log_storage, self._run_storage, self._schedule_storage):
            storage._engine = engine

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """No configuration: everything comes from the settings."""
        return {"url": Field(str, is_required=False, description="Overrides TVDB_DATABASE_URL.")}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> ProjectPostgresStorage:
        """Make the storage that ``dagster.yaml`` asks for."""
        url = config_value.get("url")
        settings = load_settings(**({"database_url": url} if url else {}))
        prepare(database_url(settings))
        # Dagster has no other switch for it, and reads this one at each event.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", EVENT_BATCH)
        if _is_materialize_command():
            # Registered before all that a run registers, and so called after it.
            atexit.register(_Deferral.end)
        return cls(instance_url(settings), inst_data)


def _engine(url: str) -> Engine:
    """One that keeps a connection, for all three storages.

    Dagster's own opens and closes one for each statement, which takes longer than most of the
    statements: a run of a thousand documents opened 170.
    """
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=-1,
        # A server that was started again, or a firewall, may have closed it meanwhile.
        pool_pre_ping=True,
        connect_args={"keepalives_idle": KEEPALIVE_SECONDS},
    )


class BatchingEventLogStorage(PostgresEventLogStorage):
    """Stores a run's materializations, planned and done, in one statement each batch.

    `PostgresEventLogStorage` stores the planned ones one by one, 3,000 for 1,000 documents in
    three assets; and of a batch that is about several assets it notes only the last asset's
    newest event, so that the others would seem to have none.
    """

    def dispose(self) -> None:
        """As the parent's, and close the connection that is kept; Dagster asks no other storage."""
        super().dispose()
        self._engine.dispose()

    def store_event(self, event: EventLogEntry) -> None:
        """As the parent's; the end of a run may decide how this process ends, see `_Deferral`."""
        super().store_event(event)
        if event.dagster_event_type is DagsterEventType.RUN_SUCCESS and _is_materialize_command():
            _Deferral.look(self.postgres_url, event.run_id)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """As the parent's, for events of several assets at once."""
        rest = [event for event in events if event.dagster_event_type not in _IN_BATCHES]
        if rest:
            super().store_event_batch(rest)
        batch = [event for event in events if event.dagster_event_type in _IN_BATCHES]
        if not batch:
            return
        # Given the rows apart from the statement, SQLAlchemy compiles it once for all batches.
        statement = SqlEventLogStorageTable.insert().returning(
            SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
        )
        with self._connect() as connection:
            rows = connection.execute(statement, self._rows_of(batch))
            ids = [int(row[0]) for row in rows]
        # The table of assets holds each asset's newest event only.
        newest = {e.get_dagster_event().asset_key: (e, i) for e, i in zip(batch, ids, strict=True)}
        with self.index_transaction() as connection:
            self._store_asset_event_tags(connection, batch, ids)
            for event, event_id in newest.values():
                self._store_asset_event(connection, event, event_id)

    def _rows_of(self, events: Sequence[EventLogEntry]) -> list[dict[str, Any]]:
        """As the parent's `_event_to_row` makes them, which packs each event from its root."""
        rows = []
        like: dict[object, dict[str, Any]] = {}
        for event, packed in zip(events, event_texts(events), strict=True):
            found = event.get_dagster_event()
            key = (event.run_id, found.step_key, found.event_type_value, found.asset_key)
            if key not in like:
                like[key] = self._event_to_row(event)
            changes = {
                "event": packed,
                "timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
                "partition": found.partition or None,
            }
            rows.append(like[key] | changes)
        return rows

    def _has_asset_key_index_cols_on_connection(self, conn: Connection) -> bool:
        """Yes: this version of Dagster made the tables. The parent looks at each event."""
        return True

    def add_dynamic_partitions(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> None:
        """As the parent's, which compiles a statement as long as all keys together."""
        with self.index_transaction() as connection:
            _change_partitions(connection, _ADD_PARTITIONS, partitions_def_name, partition_keys)

    def move_partitions_to_end(self, partitions_def_name: str, keys: Sequence[str]) -> None:
        """Put dynamic partitions behind all others, in this order, in one transaction.

        A run takes a range of partitions in their order, so that documents which lie far apart
        would need a run each.
        """
        with self.index_transaction() as connection:
            _change_partitions(connection, _DELETE_PARTITIONS, partitions_def_name, keys)
            _change_partitions(connection, _ADD_PARTITIONS, partitions_def_name, keys)

    def delete_partitions(self, partitions_def_name: str, keys: Sequence[str]) -> None:
        """Delete dynamic partitions in one statement; Dagster's own way is one for each."""
        with self.index_transaction() as connection:
            _change_partitions(connection, _DELETE_PARTITIONS, partitions_def_name, keys)


def _change_partitions(
    connection: Any, statement: str, partitions_def_name: str, keys: Sequence[str]
) -> None:
    connection.execute(text(statement), {"name": partitions_def_name, "keys": list(keys)})


_ADD_PARTITIONS = """
INSERT INTO dynamic_partitions (partitions_def_name, partition)
SELECT :name, key FROM unnest(CAST(:keys AS text[])) WITH ORDINALITY AS k(key, place)
ORDER BY place ON CONFLICT DO NOTHING
"""
_DELETE_PARTITIONS = """
DELETE FROM dynamic_partitions
WHERE partitions_def_name = :name AND partition = ANY(CAST(:keys AS text[]))
"""


class HaltAwareRunStorage(PostgresRunStorage):
    """Knows that a backfill goes on while documents of it wait for a budget.

    Dagster asks whether a backfill has runs that are not finished; where it has none and some
    of its partitions are not materialized, it takes the backfill for failed. A halt is no
    failure, so the run that left documents waiting is told to it as one that is not finished.
    """

    def get_run_ids(
        self,
        filters: RunsFilter | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Sequence[str]:
        """As the parent's; and runs of a backfill whose documents wait, if none is under way."""
        found: Sequence[str] = super().get_run_ids(filters, cursor, limit)
        if found or filters is None or list(filters.statuses) != NOT_FINISHED_STATUSES:
            return found
        backfill_id = filters.tags.get(BACKFILL_ID_TAG)
        backfill = self.get_backfill(backfill_id) if isinstance(backfill_id, str) else None
        # One that is being cancelled waits for nothing any more.
        if backfill is None or backfill.status is not BulkActionStatus.REQUESTED:
            return found
        with self.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT DISTINCT d.run_id FROM tvdb.documents d"
                    " JOIN run_tags t ON t.run_id = d.run_id AND t.key = :key AND t.value = :id"
                    " WHERE d.status = :deferred LIMIT 1"
                ),
                {
                    "key": BACKFILL_ID_TAG,
                    "id": backfill_id,
                    "deferred": DocumentStatus.DEFERRED.value,
                },
            )
            return [row[0] for row in rows]


_IN_BATCHES = (
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_OBSERVATION,
)

DEFERRED = 3
"""The exit code of a run whose documents wait for a budget, as of `tvdb ingest`."""


class _Deferral:
    """Gives ``dagster asset materialize`` an exit code of its own for work that has to wait.

    Dagster's command knows only success and failure. A halt is neither: the run ends well, so
    that nobody is alarmed, and yet a script must see that nothing was materialized.
    """

    message = ""

    @classmethod
    def look(cls, url: str, run_id: str) -> None:
        """Note whether this run left documents waiting."""
        with psycopg.connect("postgresql://" + url.partition("://")[2]) as connection:
            row = connection.execute(
                "SELECT count(*), min(error_message), min(error_remedy) FROM tvdb.documents"
                " WHERE status = %s AND run_id = %s",
                (DocumentStatus.DEFERRED.value, run_id),
            ).fetchone()
        if row is not None and row[0]:
            cls.message = f"{row[0]} documents wait. {row[1]} {row[2]}"

    @classmethod
    def end(cls) -> None:
        """End this process with the code, if there is reason to."""
        if cls.message:
            sys.stdout.flush()
            sys.stderr.write(f"\n{cls.message}\n")
            sys.stderr.flush()
            os._exit(DEFERRED)


def _is_materialize_command() -> bool:
    return Path(sys.argv[0]).name == "dagster" and sys.argv[1:3] == ["asset", "materialize"]
