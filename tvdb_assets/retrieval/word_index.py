"""Reads of the word index: what a question needs of it, in the snapshot of a transaction.

What belongs here: statements on the tables ``word_*``, and a cache of rows that never change. What
does not: ranking (`retrieval.word_ranking`), or writes (`repositories.word_store`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.core.word_postings import MOST_CHUNKS, Bucket, bits_of
from tvdb_assets.repositories.database import Connection

_CACHE_BYTES = 128 << 20
"""Postings that a process keeps in memory."""
_ENTRY_BYTES = 300
"""Of an entry of the cache, besides its postings."""
Found: TypeAlias = tuple[NDArray[np.uint16] | NDArray[np.uint32], NDArray[np.uint8]]
"""Positions of a term in a segment, ascending, and its occurrences at each."""


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
    known_counts: dict[tuple[int, ...], int] = field(default_factory=dict)
    """Published chunks that have any of some terms, as far as questions have asked for them."""

    @property
    def is_whole(self) -> bool:
        """Whether all positions are published."""
        return self.live_count == self.chunk_count

    def shown(self, live: NDArray[np.bool_]) -> Segment:
        """The same segment with other visible positions."""
        return replace(
            self,
            live=live,
            live_count=int(np.count_nonzero(live)),
            live_words=float(self.lengths[live].sum(dtype=np.float64)),
            known_counts={},
        )


@dataclass(frozen=True)
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

    @cached_property
    def offsets(self) -> dict[int, int]:
        """Where the positions of each segment begin if all segments are put one after another."""
        ends = np.cumsum([0, *(segment.chunk_count for segment in self.segments)]).tolist()
        return {s.segment_id: start for s, start in zip(self.segments, ends, strict=False)}

    @cached_property
    def lengths(self) -> NDArray[np.float32]:
        """Words of each chunk of all segments, as a multiple of the mean."""
        lengths = [segment.lengths for segment in self.segments] or [np.zeros(0, np.float32)]
        return np.concatenate(lengths) / np.float32(self.mean_length)


class WordIndexReader:
    """Reads the word index; keeps rows that never change. For any number of threads."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._lock = threading.Lock()
        self._segments: dict[tuple[int, int], tuple[int, Segment]] = {}
        self._snapshots: dict[int, WordSnapshot] = {}
        self._postings: OrderedDict[tuple[int, int], Found | None] = OrderedDict()
        self._bytes = 0

    def snapshot(self, tx: Connection, index_id: int) -> WordSnapshot:
        """The word index of a search index, as the transaction sees it."""
        # Both are sent before the first answer is awaited, if the connection is in pipeline mode.
        shown = tx.execute(
            "SELECT segment_id, version FROM tvdb.word_live WHERE index_id = %s", (index_id,)
        )
        changes = tx.execute(
            "SELECT segment_id, first_position, chunk_count, is_live FROM tvdb.word_changes"
            " WHERE index_id = %s OR index_id IS NULL ORDER BY change_id",
            (index_id,),
        ).fetchall()
        versions: dict[int, int] = dict(shown.fetchall())
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
        last = self._snapshots.get(index_id)
        if last is not None and list(map(id, last.segments)) == list(map(id, segments)):
            return last
        count = sum(segment.live_count for segment in segments)
        words = sum(segment.live_words for segment in segments)
        mean = max(1.0, words / count) if count else 1.0
        snapshot = self._snapshots[index_id] = WordSnapshot(segments, count, mean)
        return snapshot

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

    def postings(
        self, tx: Connection, segments: Sequence[Segment], terms: Iterable[int]
    ) -> dict[tuple[int, int], Found]:
        """The postings of terms, by segment id and term; those of unpublished chunks, too.

        A term that a segment does not have is missing.
        """
        asked = list(terms)
        found: dict[tuple[int, int], Found] = {}
        missing: list[tuple[Segment, int]] = []
        with self._lock:
            cached = self._postings
            for segment in segments:
                for term in asked:
                    key = segment.segment_id, term
                    if key not in cached:
                        missing.append((segment, term))
                        continue
                    cached.move_to_end(key)
                    if (known := cached[key]) is not None:
                        found[key] = known
        if missing:
            read = _read_postings(tx, missing)
            found |= {key: postings for key, postings in read.items() if postings is not None}
            self._keep(read)
        return found

    def _keep(self, read: Mapping[tuple[int, int], Found | None]) -> None:
        with self._lock:
            for key, postings in read.items():
                if key not in self._postings:
                    self._postings[key] = postings
                    self._bytes += _size(postings)
            while self._bytes > _CACHE_BYTES:
                _, postings = self._postings.popitem(last=False)
                self._bytes -= _size(postings)


def _size(postings: Found | None) -> int:
    return _ENTRY_BYTES + (postings[0].nbytes + postings[1].nbytes if postings else 0)


def _read_postings(
    tx: Connection, missing: Sequence[tuple[Segment, int]]
) -> dict[tuple[int, int], Found | None]:
    """The postings of terms of segments; None for a term that a segment does not have."""
    terms: dict[tuple[int, int], list[int]] = {}
    for segment, term in missing:
        terms.setdefault((segment.segment_id, term >> (64 - segment.bits)), []).append(term)
    is_wide = {segment.segment_id: segment.chunk_count > MOST_CHUNKS for segment, _ in missing}
    rows = tx.execute(
        "SELECT p.segment_id, p.bucket, p.postings"
        " FROM unnest(%s::bigint[], %s::int[]) AS n(segment, bucket)"
        " JOIN tvdb.word_postings p ON p.segment_id = n.segment AND p.bucket = n.bucket",
        ([key[0] for key in terms], [key[1] for key in terms]),
        binary=True,
    ).fetchall()
    read: dict[tuple[int, int], Found | None] = {
        (segment.segment_id, term): None for segment, term in missing
    }
    for segment_id, number, data in rows:
        bucket = Bucket.decode(data, is_wide=is_wide[segment_id])
        for term in terms[segment_id, number]:
            postings = bucket.find(term)
            if postings is not None:
                # Copies, so that the rest of the bucket is not kept in memory.
                read[segment_id, term] = postings[0].copy(), postings[1].copy()
    return read
