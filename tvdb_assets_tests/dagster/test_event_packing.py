"""Events that are written in a batch are those that Dagster writes one by one."""

from __future__ import annotations

import math
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData, StepMaterializationData
from dagster._serdes import deserialize_value, serialize_value

from tvdb_assets.dagster.storage import event_packing
from tvdb_assets.dagster.storage.event_packing import event_texts

PLAIN = {"document": "a.md", "chunks": 3, "seconds": 0.1 + 0.2, "unchanged": False}
STRANGE: list[dict[str, Any]] = [
    {"document": 'Ünïcode "quoted" \\ \n\t \u2028 🎈', "cost": 1e-12, "big": 2**53 + 1},
    {"huge": 2**70},
    {"not a number": math.nan},
    {"lone": "\ud800"},
    {"a table": dg.MetadataValue.md("**bold**"), "chunks": 1},
    {},
]


def entry(data: Any, kind: dg.DagsterEventType, timestamp: float = 1.5) -> dg.EventLogEntry:
    return dg.EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level="debug",
        user_message="",
        run_id="a-run",
        timestamp=timestamp,
        step_key="document_walk",
        job_name="a_job",
        dagster_event=dg.DagsterEvent(
            event_type_value=kind.value,
            job_name="a_job",
            event_specific_data=data,
            message="Materialized value.",
        ),
    )


def made(metadata: dict[str, Any], asset: str = "chunks", **more: Any) -> dg.EventLogEntry:
    materialization = dg.AssetMaterialization(asset, metadata=metadata, **more)
    return entry(
        StepMaterializationData(materialization), dg.DagsterEventType.ASSET_MATERIALIZATION
    )


def planned(partition: str, timestamp: float) -> dg.EventLogEntry:
    data = AssetMaterializationPlannedData(dg.AssetKey("chunks"), partition=partition)
    return entry(data, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, timestamp)


def check(events: list[dg.EventLogEntry]) -> None:
    for text, event in zip(event_texts(events), events, strict=True):
        # Compared as text, because a NaN is not equal to itself.
        assert serialize_value(deserialize_value(text)) == serialize_value(event)


def test_plain_and_strange_metadata_are_read_back_as_they_were() -> None:
    partitions = [f"{number}.md" for number in range(3)]
    plain = [
        made(PLAIN, asset, partition=p) for p in partitions for asset in ("chunks", "embeddings")
    ]
    check(plain)
    for strange in STRANGE:
        check([*plain, made(strange, partition="x.md"), *plain])
        check([made(strange, partition="x.md"), *plain])


def test_what_differs_in_more_is_left_to_dagster() -> None:
    plain = made(PLAIN, partition="a.md")
    check([plain, made(PLAIN), made(PLAIN, partition="b.md", description="by hand")])
    check([plain, made(PLAIN, partition="b.md", tags={"a": "b"}), plain])
    check([plain, plain._replace(run_id="another"), plain._replace(level=40)])


def test_planned_events_are_read_back_as_they_were() -> None:
    check([planned(f"{number}.md", 1_764_000_000.123_456 + number) for number in range(4)])


def test_another_way_of_packing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {
        **event_packing._WRITTEN,
        dg.IntMetadataValue: lambda v: {"__class__": "IntMetadataEntryData", "number": v.value},
    }
    monkeypatch.setattr(event_packing, "_WRITTEN", written)
    check([made(PLAIN, partition="a.md"), made({"chunks": 4}, partition="b.md")])
