"""Maintenance of the word index: the words of chunks that have none yet, and merging of segments.

What belongs here: which segments are merged, and how. What does not: storing the words of new
chunks (`word_store`).

A merge copies the postings of several segments into a new one, without those of deleted chunks. It
works on a sixteenth of all terms at a time, so that its memory stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from tvdb_assets.core.word_postings import (
    MOST_CHUNKS,
    Bucket,
    Postings,
    bits_of,
    bucket_bits_for,
)
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.word_store import fill_in, write_buckets

_TIERS = (1_024, 8_192, MOST_CHUNKS)
"""Upper bounds of the sizes of segments that are merged with each other, in chunks."""
_MERGED_AT = 8
"""Segments of one tier that are merged: each posting is written at most four times."""
_FOLDED_AT = 500
"""Changes that a search applies at most, about 1 ms; a bulk load has more for a moment."""
_PART_BITS = 4
_MERGE_WAIT = "100ms"
"""A merge gives up if a publication in progress holds one of its sets for longer."""


@dataclass(frozen=True, slots=True)
class _Segment:
    segment_id: int
    chunk_count: int
    bits: int
    languages: list[str]
    lengths: NDArray[np.uint16]
    size: int
    """Bytes of its buckets."""

    @property
    def is_wide(self) -> bool:
        return self.chunk_count > MOST_CHUNKS


def fill_words(database: Database, at_least: int = 1) -> int:
    """`word_store.fill_in` in its own transaction; 0 for a user with read-only access."""
    try:
        with database.transaction() as tx:
            return fill_in(tx, at_least)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return 0


def compact(database: Database, *, is_forced: bool = False) -> None:
    """Fold changes and merge segments, if there are enough, and no other process does.

    Args:
        database: the database.
        is_forced: fold and merge also where there are few.
    """
    try:
        with database.transaction() as tx:
            row = tx.execute(
                "SELECT count(*) FROM (SELECT FROM tvdb.word_changes LIMIT %s) c", (_FOLDED_AT,)
            ).fetchone()
            assert row is not None
            is_due = row[0] >= _FOLDED_AT or (is_forced and row[0] > 0)
            if is_due and locks.try_acquire_in_transaction(tx, [locks.WORD_INDEX.key()]):
                fold_changes(tx)
        while _merge_next(database, 2 if is_forced else _MERGED_AT):
            pass
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return  # a user with read-only access


def fold_changes(tx: Connection) -> None:
    """Write the recorded changes into `word_live`; the caller holds the lock of the word index."""
    changes = tx.execute(
        "DELETE FROM tvdb.word_changes RETURNING change_id, index_id, segment_id, first_position,"
        " chunk_count, is_live"
    ).fetchall()
    segments = sorted({change[2] for change in changes})
    sizes: dict[int, int] = dict(
        tx.execute(
            "SELECT segment_id, chunk_count FROM tvdb.word_segments WHERE segment_id = ANY(%s)",
            (segments,),
        ).fetchall()
    )
    live = _read_live(tx, sizes)
    by_segment: dict[int, list[int]] = {}
    for index_id, segment_id in live:
        by_segment.setdefault(segment_id, []).append(index_id)
    for _, index_id, segment_id, first, count, is_live in sorted(changes, key=lambda c: c[0]):
        if segment_id not in sizes:
            continue
        known = by_segment.setdefault(segment_id, [])
        if index_id is not None and index_id not in known:
            live[index_id, segment_id] = np.zeros(sizes[segment_id], bool)
            known.append(index_id)
        for each in known if index_id is None else (index_id,):
            live[each, segment_id][first : first + count] = is_live
    _write_live(tx, live)


def _read_live(tx: Connection, sizes: dict[int, int]) -> dict[tuple[int, int], NDArray[np.bool_]]:
    rows = tx.execute(
        "SELECT index_id, segment_id, positions FROM tvdb.word_live WHERE segment_id = ANY(%s)",
        (list(sizes),),
    ).fetchall()
    return {
        (index_id, segment_id): bits_of(data, sizes[segment_id])
        for index_id, segment_id, data in rows
    }


def _write_live(tx: Connection, live: dict[tuple[int, int], NDArray[np.bool_]]) -> None:
    keys = sorted(live)
    tx.execute(
        "INSERT INTO tvdb.word_live AS l (index_id, segment_id, version, positions)"
        " SELECT n.i, n.s, 1, n.p FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])"
        # Without indexes that were dropped since then.
        " AS n(i, s, p) JOIN tvdb.indexes ON index_id = n.i"
        " ON CONFLICT (index_id, segment_id)"
        " DO UPDATE SET version = l.version + 1, positions = excluded.positions",
        (
            [key[0] for key in keys],
            [key[1] for key in keys],
            [np.packbits(live[key], bitorder="little").tobytes() for key in keys],
        ),
    )


def _merge_next(database: Database, merged_at: int) -> bool:
    """Merge the segments of one tier, if there are enough; returns whether any were merged."""
    try:
        with database.transaction() as tx:
            chosen = _mergeable(
                tx.execute("SELECT segment_id, chunk_count FROM tvdb.word_segments").fetchall(),
                merged_at,
            )
            if not chosen or not locks.try_acquire_in_transaction(tx, [locks.WORD_INDEX.key()]):
                return False
            tx.execute(f"SET LOCAL lock_timeout = '{_MERGE_WAIT}'")
            # Publications record positions, which change now.
            sets = tx.execute(
                "SELECT chunk_set_id, segment_id, first_position, chunk_count FROM tvdb.word_sets"
                " WHERE segment_id = ANY(%s) ORDER BY chunk_set_id FOR UPDATE",
                (chosen,),
            ).fetchall()
            fold_changes(tx)
            _merge(tx, chosen, sets)
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _mergeable(sizes: Sequence[tuple[int, int]], merged_at: int) -> list[int]:
    """The ids of segments to merge; empty if no tier has enough."""
    lower = 0
    for upper in _TIERS:
        tier = sorted((size, segment_id) for segment_id, size in sizes if lower <= size < upper)
        chosen, total = list[int](), 0
        for size, segment_id in tier:
            if total + size <= MOST_CHUNKS:
                chosen.append(segment_id)
                total += size
        if len(chosen) >= 2 and len(tier) >= merged_at:
            return chosen
        lower = upper
    return []


def _merge(tx: Connection, segment_ids: list[int], sets: list[tuple[int, int, int, int]]) -> None:
    segments = [
        _Segment(row[0], row[1], row[2], row[3], np.frombuffer(row[4], "<u2"), row[5])
        for row in tx.execute(
            "SELECT segment_id, chunk_count, bucket_bits, languages, lengths,"
            " (SELECT coalesce(sum(octet_length(postings)), 0) FROM tvdb.word_postings p"
            "  WHERE p.segment_id = s.segment_id)"
            " FROM tvdb.word_segments s WHERE segment_id = ANY(%s) ORDER BY segment_id",
            (segment_ids,),
        )
    ]
    # Positions of sets that were deleted are left out.
    new_positions: dict[int, NDArray[np.int64]] = {
        each.segment_id: np.full(each.chunk_count, -1, np.int64) for each in segments
    }
    moved: list[tuple[int, int]] = []
    total = 0
    for set_id, segment_id, first, count in sorted(sets, key=lambda s: (s[1], s[2])):
        new_positions[segment_id][first : first + count] = np.arange(total, total + count)
        moved.append((set_id, total))
        total += count
    if total:
        _write_merged(tx, segments, new_positions, moved, total)
    tx.execute("DELETE FROM tvdb.word_segments WHERE segment_id = ANY(%s)", (segment_ids,))


def _write_merged(
    tx: Connection,
    segments: list[_Segment],
    new_positions: dict[int, NDArray[np.int64]],
    moved: list[tuple[int, int]],
    total: int,
) -> None:
    lengths = np.zeros(total, "<u2")
    merged_live: dict[int, NDArray[np.bool_]] = {}
    live = _read_live(tx, {each.segment_id: each.chunk_count for each in segments})
    for each in segments:
        to = new_positions[each.segment_id]
        lengths[to[to >= 0]] = each.lengths[to >= 0]
        for (index_id, segment_id), is_live in live.items():
            if segment_id == each.segment_id:
                of_index = merged_live.setdefault(index_id, np.zeros(total, bool))
                of_index[to[to >= 0]] = is_live[to >= 0]
    bits = bucket_bits_for(sum(each.size for each in segments))
    part_bits = min(_PART_BITS, bits)
    row = tx.execute(
        "INSERT INTO tvdb.word_segments (chunk_count, bucket_bits, languages, lengths)"
        " VALUES (%s, %s, %s, %s) RETURNING segment_id",
        (total, bits, sorted({n for each in segments for n in each.languages}), lengths.tobytes()),
    ).fetchone()
    assert row is not None
    for part in range(1 << part_bits):
        merged = Postings.merged(
            [_read_part(tx, s, part, part_bits, new_positions[s.segment_id]) for s in segments]
        )
        write_buckets(tx, row[0], merged, bits, is_wide=total > MOST_CHUNKS)
    tx.execute(
        "UPDATE tvdb.word_sets w SET segment_id = %s, first_position = n.first"
        " FROM unnest(%s::bigint[], %s::int[]) AS n(id, first) WHERE w.chunk_set_id = n.id",
        (row[0], [m[0] for m in moved], [m[1] for m in moved]),
    )
    _write_live(tx, {(index_id, row[0]): is_live for index_id, is_live in merged_live.items()})


def _read_part(
    tx: Connection, segment: _Segment, part: int, part_bits: int, to: NDArray[np.int64]
) -> Postings:
    """The postings of one part of all hashes, with their new positions."""
    shift = segment.bits - part_bits
    first = part << shift if shift >= 0 else part >> -shift
    last = first + (1 << shift) - 1 if shift >= 0 else first
    rows = tx.execute(
        "SELECT postings FROM tvdb.word_postings"
        " WHERE segment_id = %s AND bucket BETWEEN %s AND %s ORDER BY bucket",
        (segment.segment_id, first, last),
    ).fetchall()
    buckets = [Bucket.decode(row[0], is_wide=segment.is_wide).postings() for row in rows]
    if not buckets:
        return Postings.empty()
    found = Postings.merged(buckets) if len(buckets) > 1 else buckets[0]
    positions = to[found.positions]
    keep = positions >= 0
    if part_bits:
        keep &= (found.hashes >> np.uint64(64 - part_bits)) == part
    return Postings(found.hashes[keep], positions[keep].astype(np.uint32), found.counts[keep])
