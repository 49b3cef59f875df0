"""A source, a database and an instance, for which tests do the work of Dagster's daemon.

What belongs here: ticks, evaluated as the daemon does, and the execution of requested runs. What
does not: any check.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from dagster._core.definitions.run_request import RunRequest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from tvdb_assets.dagster import ingest
from tvdb_assets.definitions import defs
from tvdb_assets.models import Stage
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry

TEXTS = {f"{n}.md": f"# Note {n}\n\nThe matter of series {n} is settled.\n" for n in range(6)}


def _resources() -> dict[str, object]:
    return dict(defs().resources or {})


class Project:
    """Of one test."""

    def __init__(self, folder: Path, database: Database, instance: dg.DagsterInstance) -> None:
        self.documents = folder / "documents"
        self.database = database
        self.instance = instance
        self.registry = DocumentRegistry(database)

    def write(self, name: str, text: str) -> None:
        """Write a file that the intake treats as complete."""
        path = self.documents / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def tick(self) -> list[RunRequest]:
        """One tick of `document_intake`."""
        sensor = self._repository().get_sensor_def("document_intake")
        with dg.build_sensor_context(
            instance=self.instance, repository_def=self._repository(), resources=_resources()
        ) as context:
            return list(sensor.evaluate_tick(context).run_requests or [])

    def daemon_tick(self, name: str) -> SensorExecutionData:
        """One tick of a sensor, as Dagster's daemon evaluates it."""
        with dg.build_sensor_context(
            instance=self.instance,
            repository_def=self._repository(),
            resources=_resources(),
            last_sensor_start_time=1.0,
        ) as context:
            return self._repository().get_sensor_def(name).evaluate_tick(context)

    def catch_up_tick(self) -> list[RunRequest]:
        """One tick of `nightly_catch_up`."""
        schedule = self._repository().get_schedule_def("nightly_catch_up")
        with dg.build_schedule_context(
            instance=self.instance, repository_def=self._repository(), resources=_resources()
        ) as context:
            return list(schedule.evaluate_tick(context).run_requests or [])

    def _repository(self) -> dg.RepositoryDefinition:
        return defs().get_repository_def()

    def covered(self, requests: Sequence[RunRequest]) -> list[str]:
        """The partitions of runs, in Dagster's order."""
        ordered = self.instance.get_dynamic_partitions("documents")
        keys: list[str] = []
        for request in requests:
            only = request.tags.get("dagster/partition")
            first = only or request.tags["dagster/asset_partition_range_start"]
            last = only or request.tags["dagster/asset_partition_range_end"]
            keys += ordered[ordered.index(first) : ordered.index(last) + 1]
        return keys

    def run(self, requests: Sequence[RunRequest]) -> list[str]:
        """Execute the requested runs; returns their partitions."""
        covered = self.covered(requests)
        for request in requests:
            ingest.run(self.instance, request.tags, lambda _: None)
        return covered

    def searchable(self) -> set[str]:
        """The documents that search finds."""
        with self.database.transaction() as tx:
            rows = tx.execute("SELECT DISTINCT document FROM tvdb.search_index").fetchall()
        return {row[0] for row in rows}

    def materialized(self) -> set[str]:
        return self.instance.get_materialized_partitions(dg.AssetKey(Stage.EMBEDDINGS.value))
