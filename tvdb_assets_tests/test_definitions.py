"""The structure of the Dagster definitions is reviewed: any change shows up in a snapshot."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from syrupy.assertion import SnapshotAssertion

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
