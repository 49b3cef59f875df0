"""A backfill completes automatically, whatever is killed while it runs."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.definitions import defs
from tvdb_assets.models import Stage
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.integration.backfill_kills import KillableProject
from tvdb_assets_tests.integration.budget_halts import backfill_status

# Dagster itself still uses pydantic's old name.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    # A minute on an idle machine, and longer on a shared one.
    pytest.mark.timeout(3_600),
]


@pytest.fixture
def project(tmp_path: Path, is_full: bool) -> Iterator[KillableProject]:
    made = KillableProject(tmp_path, *((300, 10) if is_full else (24, 4)))
    yield made
    made.end()


@pytest.fixture
def instance(
    project: KillableProject, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    for name, value in project.environment.items():
        if name.startswith(("TVDB_", "DAGSTER")):
            monkeypatch.setenv(name, value)
    with dagster_instance(load_settings()) as opened:
        yield opened


def start_backfill(project: KillableProject, instance: dg.DagsterInstance) -> tuple[str, int]:
    """Request a backfill of all documents, as the UI does; returns its id and their number."""
    with Database.open(load_settings()) as database:
        source = Source.open(str(project.source))
        files = [source.stat(path.name) for path in sorted(project.source.iterdir())]
        keys = DocumentRegistry(database).register(source.root, files, run_id="")
    instance.add_dynamic_partitions("documents", keys)
    backfill_id = uuid4().hex[:8]
    wanted = {
        AssetKeyPartitionKey(dg.AssetKey(stage.value), key) for stage in Stage for key in keys
    }
    graph = defs().get_repository_def().asset_graph
    instance.add_backfill(
        PartitionBackfill.from_asset_graph_subset(
            backfill_id=backfill_id,
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=instance,
            asset_graph_subset=AssetGraphSubset.from_asset_partition_set(wanted, graph),
            title=None,
            description=None,
            run_config=None,
        )
    )
    return backfill_id, len(keys)


def test_a_backfill_survives_kills_of_each_of_its_processes(
    project: KillableProject, instance: dg.DagsterInstance, is_full: bool
) -> None:
    project.start("code")
    project.start("daemon")
    backfill_id, total = start_backfill(project, instance)
    chosen = random.Random(1)
    kinds = ["code", "worker", "database", "evicted", "daemon"]
    kills = kinds * 5 if is_full else kinds
    chosen.shuffle(kills)
    started = time.monotonic()
    for number, kind in enumerate(kills, 1):
        share = total * number // (len(kills) + 2)
        project.until(lambda share=share: project.published() >= share, 900)  # type: ignore[misc]
        print(f"{time.monotonic() - started:.0f} s: {project.published()} published, kill {kind}")
        if kind == "database":
            project.restart_database()
        else:
            project.kill(kind)
            if kind in ("code", "daemon"):
                project.start(kind)
    project.until(lambda: project.published() == total, 1_800)
    active = (BulkActionStatus.REQUESTED,)
    project.until(lambda: backfill_status(instance, backfill_id) not in active, 900)
    print(f"{time.monotonic() - started:.0f} s: {backfill_status(instance, backfill_id)}")
    runs = "\n".join(f"{r.run_id} {r.status.value} {dict(r.tags)}" for r in instance.get_runs())
    print(runs)
    assert backfill_status(instance, backfill_id) is BulkActionStatus.COMPLETED_SUCCESS, runs
