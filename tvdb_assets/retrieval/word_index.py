"""Reads of the word index: what a question needs of it, in the snapshot of a transaction.

What belongs here: statements on the tables ``word_*``, and a cache of rows that never change. What
does not: ranking (`retrieval.word_ranking`), or writes (`repositories.word_store`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.core.word_postings import MOST_CHUNKS, Bucket, bits_of
from tvdb_assets.repositories.database import Connection

_CACHE_BYTES = 128 << 20
"""Postings that a process keeps in memory."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as one index shows it."""

    segment_id: int
    chunk_count: int
    bits: int
    languages: tuple[str, ...]
    lengths: NDArray[np.float32]
    """Words of each chunk."""
    live: NDArray[np.bool_]
    """Whether each position is published in the index."""
    live_count: int
    live_words: float

    def shown(self, live: NDArray[np.bool_]) -> Segment:
        """The same segment with other visible positions."""
        return replace(
            self,
            live=live,
            live_count=int(np.count_nonzero(live)),
            live_words=float(self.lengths[live].sum(dtype=np.float64)),
        )


@dataclass(frozen=True, slots=True)
class WordSnapshot:
    """The word index of one search index, at one moment."""

    segments: tuple[Segment, ...]
    chunk_count: int
    """Published chunks with words."""
    mean_length: float
    """Mean number of words of a published chunk."""

    @property
    def languages(self) -> tuple[str | None, ...]:
        """The languages whose rules were applied to a part of the index."""
        found = sorted({name for segment in self.segments for name in segment.languages})
        return tuple(name or None for name in found)


class WordIndexReader:
    """Reads the word index; keeps rows that never change. For any number of threads."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._lock = threading.Lock()
        self._segments: dict[tuple[int, int], tuple[int, Segment]] = {}
        self._buckets: OrderedDict[tuple[int, int], tuple[Bucket, int]] = OrderedDict()
        self._bytes = 0

    def snapshot(self, tx: Connection, index_id: int) -> WordSnapshot:
        """The word index of a search index, as the transaction sees it."""
        versions: dict[int, int] = dict(
            tx.execute(
                "SELECT segment_id, version FROM tvdb.word_live WHERE index_id = %s", (index_id,)
            ).fetchall()
        )
        changes = tx.execute(
            "SELECT segment_id, first_position, chunk_count, is_live FROM tvdb.word_changes"
            " WHERE index_id = %s OR index_id IS NULL ORDER BY change_id",
            (index_id,),
        ).fetchall()
        changed = {change[0] for change in changes}
        known = self._read(tx, index_id, versions, changed)
        live: dict[int, NDArray[np.bool_]] = {}
        for segment_id, first, count, is_live in changes:
            if segment_id in known:
                if segment_id not in live:
                    live[segment_id] = known[segment_id].live.copy()
                live[segment_id][first : first + count] = is_live
        segments = tuple(
            segment.shown(live[segment_id]) if segment_id in live else segment
            for segment_id, segment in sorted(known.items())
        )
        segments = tuple(segment for segment in segments if segment.live_count)
        count = sum(segment.live_count for segment in segments)
        words = sum(segment.live_words for segment in segments)
        return WordSnapshot(segments, count, max(1.0, words / count) if count else 1.0)

    def _read(
        self, tx: Connection, index_id: int, versions: Mapping[int, int], changed: set[int]
    ) -> dict[int, Segment]:
        """Segments without their changes, from the cache or the database."""
        with self._lock:
            # Segments that were merged, or that have no published chunk any more.
            for key in [k for k in self._segments if k[0] == index_id]:
                if key[1] not in versions and key[1] not in changed:
                    del self._segments[key]
            known = {
                segment_id: self._segments[index_id, segment_id]
                for segment_id in versions.keys() | changed
                if (index_id, segment_id) in self._segments
            }
        current = {
            segment_id: segment
            for segment_id, (version, segment) in known.items()
            if version == versions.get(segment_id, 0)
        }
        missing = [i for i in versions.keys() | changed if i not in current]
        if not missing:
            return current
        rows = tx.execute(
            "SELECT s.segment_id, s.chunk_count, s.bucket_bits, s.languages,"
            " CASE WHEN s.segment_id = ANY(%s) THEN NULL ELSE s.lengths END,"
            " coalesce(l.version, 0), l.positions"
            " FROM tvdb.word_segments s LEFT JOIN tvdb.word_live l"
            "   ON l.segment_id = s.segment_id AND l.index_id = %s"
            " WHERE s.segment_id = ANY(%s)",
            (list(known), index_id, missing),
        ).fetchall()
        for segment_id, count, bits, languages, lengths, version, positions in rows:
            live = bits_of(positions, count) if positions is not None else np.zeros(count, bool)
            if lengths is None:
                words = known[segment_id][1].lengths
            else:
                words = np.frombuffer(lengths, "<u2").astype(np.float32)
            empty = Segment(segment_id, count, bits, tuple(languages), words, live, 0, 0)
            current[segment_id] = empty.shown(live)
            with self._lock:
                self._segments[index_id, segment_id] = version, current[segment_id]
        return current

    def buckets(
        self, tx: Connection, segments: Sequence[Segment], terms: Iterable[int]
    ) -> dict[tuple[int, int], Bucket]:
        """The buckets that contain the terms, by segment id and bucket number.

        A bucket that no term of the segment has is missing.
        """
        asked = list(terms)
        needed = {
            (segment.segment_id, term >> (64 - segment.bits)): segment
            for segment in segments
            for term in asked
        }
        found: dict[tuple[int, int], Bucket] = {}
        with self._lock:
            for key in needed:
                if key in self._buckets:
                    self._buckets.move_to_end(key)
                    found[key] = self._buckets[key][0]
        missing = [key for key in needed if key not in found]
        if not missing:
            return found
        rows = tx.execute(
            "SELECT p.segment_id, p.bucket, p.postings"
            " FROM unnest(%s::bigint[], %s::int[]) AS n(segment, bucket)"
            " JOIN tvdb.word_postings p ON p.segment_id = n.segment AND p.bucket = n.bucket",
            ([key[0] for key in missing], [key[1] for key in missing]),
            binary=True,
        ).fetchall()
        read = {
            (row[0], row[1]): (
                Bucket.decode(row[2], is_wide=needed[row[0], row[1]].chunk_count > MOST_CHUNKS),
                len(row[2]),
            )
            for row in rows
        }
        empty = Bucket.decode(bytes(4), is_wide=False)
        read |= {key: (empty, 64) for key in missing if key not in read}
        with self._lock:
            for key, (bucket, size) in read.items():
                if key not in self._buckets:
                    self._buckets[key] = bucket, size
                    self._bytes += size
            while self._bytes > _CACHE_BYTES:
                _, (_, size) = self._buckets.popitem(last=False)
                self._bytes -= size
        return found | {key: bucket for key, (bucket, _) in read.items()}
