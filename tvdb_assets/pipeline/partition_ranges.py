"""Runs over ranges of partitions: which ranges hold just the wanted ones, and how to ask for one.

What belongs here: pure grouping of keys. What does not: which documents are wanted, or
starting runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def partition_ranges(
    ordered: Sequence[str], wanted: Collection[str], most: int
) -> list[tuple[str, str]]:
    """Neighbours in Dagster's order of partitions that are all wanted: first and last of each.

    A run takes a range of partitions, so this makes as few runs as ranges allow.

    Args:
        ordered: all partition keys, in Dagster's order.
        wanted: keys to cover, and no others.
        most: most keys in a range.
    """
    ranges: list[tuple[str, str]] = []
    length = 0
    for before, key in zip(("", *ordered), ordered, strict=False):
        if key not in wanted:
            length = 0
        elif length in (0, most) or before not in wanted:
            ranges.append((key, key))
            length = 1
        else:
            ranges[-1] = (ranges[-1][0], key)
            length += 1
    return ranges


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags by which Dagster knows the partitions of a run."""
    if first == last:
        return {"dagster/partition": first}
    return {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
