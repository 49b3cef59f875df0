"""The structure of the Dagster definitions is reviewed: any change shows up in a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from syrupy.assertion import SnapshotAssertion

from tvdb_assets import documents_partitions
from tvdb_assets.definitions import defs


# Dagster itself still uses pydantic's old name.
@pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
def test_the_graph_is_as_reviewed(snapshot: SnapshotAssertion) -> None:
    loaded = defs()
    graph = loaded.resolve_asset_graph()
    assets: dict[str, Any] = {}
    for key in sorted(graph.get_all_asset_keys(), key=str):
        node = graph.get(key)
        policy = node.backfill_policy
        assets[key.to_user_string()] = {
            "after": sorted(parent.to_user_string() for parent in node.parent_keys),
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "owners": list(node.owners),
            "partitions": getattr(node.partitions_def, "name", None),
            "partitions_a_run": policy.max_partitions_per_run if policy else None,
            "checks": sorted(check.name for check in node.check_keys),
            "columns": [
                column.name
                for column in node.metadata.get("dagster/column_schema", dg.TableSchema([])).columns
            ],
            "is_described": bool(node.description),
        }
    shape = {
        "assets": assets,
        "sensors": sorted(sensor.name for sensor in loaded.sensors or ()),
        "schedules": sorted(schedule.name for schedule in loaded.schedules or ()),
        "resources": sorted(loaded.resources or {}),
    }
    assert shape == snapshot


@pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
def test_a_project_with_its_own_io_manager_can_add_the_assets(tmp_path: Path) -> None:
    @dg.asset
    def my_table() -> int:
        return 1

    @dg.asset(partitions_def=documents_partitions)
    def my_report(chunks: pd.DataFrame) -> None:
        """Needs the rows of our asset, whatever the project's own IO manager is."""

    own = dg.FilesystemIOManager(base_dir=str(tmp_path))
    merged = dg.Definitions.merge(
        defs(), dg.Definitions(assets=[my_table, my_report], resources={"io_manager": own})
    )
    dg.Definitions.validate_loadable(merged)
    assert merged.resolve_implicit_global_asset_job_def() is not None
    assert dg.materialize([my_table], resources={"io_manager": own}).success
    [stored] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stored.name == "my_table"
    inputs = merged.resolve_assets_def("my_report").op.ins
    assert list(inputs) == ["chunks"]
    output = merged.resolve_assets_def("chunks").op.output_dict["chunks"]
    assert output.io_manager_key == "tvdb_io_manager"
