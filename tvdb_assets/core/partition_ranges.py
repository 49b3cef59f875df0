"""Groups partition keys into ranges for runs, and gives the run tags of a range.

What belongs here: pure grouping of keys. What does not: the choice of documents, and starting
runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def partition_ranges(
    ordered: Sequence[str], wanted: Collection[str], max_keys: int
) -> list[list[str]]:
    """The fewest ranges, in Dagster's order of partitions, that cover exactly the wanted keys.

    A run takes one range of partitions, so fewer ranges mean fewer runs.

    Args:
        ordered: All partition keys, in Dagster's order.
        wanted: The keys to cover; no range contains another key.
        max_keys: Maximum number of keys in a range.

    Returns:
        The keys of each range, in order.
    """
    ranges: list[list[str]] = []
    starts_range = True
    for key in ordered:
        if key in wanted:
            if starts_range or len(ranges[-1]) == max_keys:
                ranges.append([])
            ranges[-1].append(key)
        starts_range = key not in wanted
    return ranges


def adjacent_ranges(places: Mapping[str, int], max_keys: int) -> list[list[str]]:
    """The same as `partition_ranges`, from the places of the wanted keys alone.

    Args:
        places: The place of each wanted key among all partition keys, in Dagster's order.
        max_keys: Maximum number of keys in a range.
    """
    ranges: list[list[str]] = []
    previous: int | None = None
    for place, key in sorted((place, key) for key, place in places.items()):
        if previous is None or place != previous + 1 or len(ranges[-1]) == max_keys:
            ranges.append([])
        ranges[-1].append(key)
        previous = place
    return ranges


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """The tags that tell Dagster the partitions of a run; the keys are one range."""
    if len(keys) == 1:
        return {"dagster/partition": keys[0]}
    return {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
