"""Events of a batch as the text that Dagster stores, made in a fifth of the time.

Dagster packs each event from its root, though those of a batch differ in partition, time and
metadata alone: for 1,000 documents in three assets that is half a second of one processor.

What belongs here: that text. What does not: storing it (`instance`). How Dagster packs is its own
affair: each kind in a batch is packed by Dagster once, as the form for the others, and once more
to compare. Where anything differs, or is not one of the few kinds of metadata that the project's
own events have, all is left to Dagster.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg
import orjson
from dagster import DagsterEventType, EventLogEntry
from dagster._serdes import serialize_value

_Key: TypeAlias = tuple[str, dg.AssetKey | None]


def event_texts(events: Sequence[EventLogEntry]) -> list[str]:
    """The text of each, which Dagster reads as what it would have stored itself."""
    forms: dict[_Key, _Form] = {}
    last: dict[_Key, int] = {}
    texts = []
    for place, event in enumerate(events):
        found = event.get_dagster_event()
        key = (found.event_type_value, found.asset_key)
        if key not in forms:
            forms[key] = _Form(event)
        text = forms[key].text_of(event)
        if text is None:
            texts.append(serialize_value(event))
        else:
            texts.append(text)
            last[key] = place
    for place in last.values():
        if json.loads(texts[place]) != json.loads(serialize_value(events[place])):
            return [serialize_value(event) for event in events]
    return texts


class _Form:
    """One event as Dagster packs it, to be filled in for others that are like it."""

    def __init__(self, event: EventLogEntry) -> None:
        self._packed = json.loads(serialize_value(event))
        self._rest = _rest_of(event)
        data = self._packed["dagster_event"]["event_specific_data"]
        self._made = data.get("materialization")
        self._partitioned = data if self._made is None else self._made

    def text_of(self, event: EventLogEntry) -> str | None:
        """None if it differs in more than what can be filled in."""
        if self._rest is None or _rest_of(event) != self._rest:
            return None
        try:
            if self._made is not None:
                made = event.get_dagster_event().step_materialization_data.materialization
                self._made["metadata_entries"] = _entries(made.metadata)
            self._partitioned["partition"] = event.get_dagster_event().partition
            self._packed["timestamp"] = event.timestamp
            return orjson.dumps(self._packed).decode()
        except (TypeError, ValueError):
            return None  # A number or a text that only Dagster knows how to write.


def _rest_of(event: EventLogEntry) -> tuple[Any, ...] | None:
    """All of an event that must be equal for a form to fit; None where none would."""
    found = event.get_dagster_event()
    data: Any = found.event_specific_data
    if event.dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION:
        made = data.materialization
        inner: tuple[Any, ...] = (made.description, made.tags, data.asset_lineage)
    elif event.dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
        inner = (data.partitions_subset,)
    else:
        return None
    return (event._replace(timestamp=0.0, dagster_event=None),) + (
        found._replace(event_specific_data=None),
        *inner,
    )


def _entries(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[dict[str, Any]]:
    return [
        {
            "__class__": "EventMetadataEntry",
            "description": None,
            "entry_data": _WRITTEN[type(value)](value),
            "label": label,
        }
        for label, value in metadata.items()
        if _is_known(value)
    ]


def _is_known(value: dg.MetadataValue[Any]) -> bool:
    if type(value) not in _WRITTEN or (
        isinstance(value, dg.FloatMetadataValue) and not math.isfinite(value.value or 0.0)
    ):
        raise ValueError("this is left to Dagster")
    return True


_WRITTEN: dict[type, Callable[[Any], dict[str, Any]]] = {
    dg.TextMetadataValue: lambda v: {"__class__": "TextMetadataEntryData", "text": v.text},
    dg.IntMetadataValue: lambda v: {"__class__": "IntMetadataEntryData", "value": v.value},
    dg.FloatMetadataValue: lambda v: {"__class__": "FloatMetadataEntryData", "value": v.value},
    dg.BoolMetadataValue: lambda v: {"__class__": "BoolMetadataEntryData", "value": v.value},
}
