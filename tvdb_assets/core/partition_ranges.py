"""Runs over ranges of partitions: which ranges hold just the wanted ones, and how to ask for one.

What belongs here: pure grouping of keys. What does not: which documents are wanted, or
starting runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def partition_ranges(ordered: Sequence[str], wanted: Collection[str], most: int) -> list[list[str]]:
    """Neighbours in Dagster's order of partitions that are all wanted: the keys of each range.

    A run takes a range of partitions, so this makes as few runs as ranges allow.

    Args:
        ordered: all partition keys, in Dagster's order.
        wanted: keys to cover, and no others.
        most: most keys in a range.
    """
    ranges: list[list[str]] = []
    is_apart = True
    for key in ordered:
        if key in wanted:
            if is_apart or len(ranges[-1]) == most:
                ranges.append([])
            ranges[-1].append(key)
        is_apart = key not in wanted
    return ranges


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """The tags by which Dagster knows the partitions of a run, which are neighbours."""
    if len(keys) == 1:
        return {"dagster/partition": keys[0]}
    return {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
