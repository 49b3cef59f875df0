"""The encoding of the word index: which chunks have which terms, and how often.

What belongs here: arrays and their form as bytes. What does not: storage
(`repositories.word_store`), or ranking (`retrieval.word_ranking`).

A segment covers some thousands of chunks, which have the positions 0, 1, 2 …, and never changes.
Its terms are sorted by their hash and divided into buckets by the first bits of the hash, so that
one term is found by reading one small row. The bytes of a bucket are little-endian:

====================== ==================================================
uint32                 number n of terms
uint64 * n             hashes of the terms, ascending
uint32 * n             number of postings of each term
uint16 or uint32 * m   position of each posting, ascending within a term
uint8 * m              occurrences in the chunk, at most 255
====================== ==================================================

Positions take 2 bytes in a segment of at most 65,536 chunks, else 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CHUNKS = 65_536
"""Chunks of a segment, except for a single document with more."""
_BUCKET_BYTES = 6_000
"""Mean size of a bucket, so that most fit into a page of 8 KiB."""
_MOST_BUCKET_BITS = 16

Hashes = NDArray[np.uint64]
Positions = NDArray[np.uint32]
Counts = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Postings:
    """Postings sorted by hash, then by position; three arrays of the same length."""

    hashes: Hashes
    positions: Positions
    counts: Counts

    @classmethod
    def of(cls, hashes: Sequence[int] | Hashes, positions: Positions) -> Postings:
        """Count the occurrences of terms.

        Args:
            hashes: the hash of each occurrence.
            positions: the position of the chunk of each occurrence, ascending.
        """
        found = np.asarray(hashes, np.uint64)
        order = np.argsort(found, kind="stable")
        found, positions = found[order], positions[order]
        if not len(found):
            return cls(found, positions, np.zeros(0, np.uint8))
        is_first = np.empty(len(found), bool)
        is_first[0] = True
        is_first[1:] = (found[1:] != found[:-1]) | (positions[1:] != positions[:-1])
        starts = np.flatnonzero(is_first)
        counts = np.diff(np.append(starts, len(found)))
        return cls(found[starts], positions[starts], np.minimum(counts, 255).astype(np.uint8))

    @classmethod
    def merged(cls, parts: Sequence[Postings]) -> Postings:
        """Postings of several segments, whose positions in the merged segment ascend."""
        hashes = np.concatenate([part.hashes for part in parts])
        positions = np.concatenate([part.positions for part in parts])
        order = np.argsort(hashes, kind="stable")
        counts = np.concatenate([part.counts for part in parts])
        return cls(hashes[order], positions[order], counts[order])

    @classmethod
    def empty(cls) -> Postings:
        """No postings."""
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint8))


def bucket_bits(postings: Postings) -> int:
    """The number of bits of a hash that select its bucket in a new segment."""
    terms = int((postings.hashes[1:] != postings.hashes[:-1]).sum()) + 1
    return bucket_bits_for(len(postings.hashes) * 3 + terms * 12)


def bucket_bits_for(size: int) -> int:
    """The number of bits of a hash that select its bucket, for a segment of this size in bytes."""
    return min(_MOST_BUCKET_BITS, max(0, int(size / _BUCKET_BYTES).bit_length()))


def bits_of(data: bytes, count: int) -> NDArray[np.bool_]:
    """One boolean for each position of a segment, from one bit for each; writable."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little")
    return bits.view(bool)


def bucket_of(hashes: Hashes, bits: int) -> NDArray[np.int32]:
    """The bucket of each hash."""
    if bits == 0:
        return np.zeros(len(hashes), np.int32)
    return (hashes >> np.uint64(64 - bits)).astype(np.int32)


def encode_buckets(postings: Postings, bits: int, *, is_wide: bool) -> Iterator[tuple[int, bytes]]:
    """Bucket numbers and their bytes, without empty buckets.

    Args:
        postings: the postings, of a whole segment or of whole buckets.
        bits: see `bucket_bits`.
        is_wide: whether positions take 4 bytes.
    """
    if not len(postings.hashes):
        return
    buckets = bucket_of(postings.hashes, bits)
    starts = np.flatnonzero(np.append(True, buckets[1:] != buckets[:-1]))
    for start, end in zip(starts, np.append(starts[1:], len(buckets)), strict=True):
        hashes = postings.hashes[start:end]
        term_starts = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
        lengths = np.diff(np.append(term_starts, len(hashes)))
        positions = postings.positions[start:end]
        yield (
            int(buckets[start]),
            b"".join(
                (
                    np.uint32(len(term_starts)).tobytes(),
                    hashes[term_starts].astype("<u8").tobytes(),
                    lengths.astype("<u4").tobytes(),
                    positions.astype("<u4" if is_wide else "<u2").tobytes(),
                    postings.counts[start:end].tobytes(),
                )
            ),
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """A decoded bucket; the arrays are views of its bytes."""

    hashes: Hashes
    ends: NDArray[np.int64]
    """End of the postings of each term."""
    positions: NDArray[np.uint16] | Positions
    counts: Counts

    @classmethod
    def decode(cls, data: bytes, *, is_wide: bool) -> Bucket:
        """Decode the bytes of a bucket."""
        terms = int.from_bytes(data[:4], "little")
        hashes = np.frombuffer(data, "<u8", terms, 4)
        lengths = np.frombuffer(data, "<u4", terms, 4 + 8 * terms)
        ends = np.cumsum(lengths, dtype=np.int64)
        total = int(ends[-1]) if terms else 0
        start, width = 4 + 12 * terms, 4 if is_wide else 2
        positions = np.frombuffer(data, "<u4" if is_wide else "<u2", total, start)
        return cls(hashes, ends, positions, np.frombuffer(data, "u1", total, start + width * total))

    def find(self, term: int) -> tuple[NDArray[np.uint16] | Positions, Counts] | None:
        """Positions and occurrences of a term; None if no chunk has it."""
        at = int(np.searchsorted(self.hashes, np.uint64(term)))
        if at == len(self.hashes) or self.hashes[at] != term:
            return None
        part = slice(int(self.ends[at - 1]) if at else 0, int(self.ends[at]))
        return self.positions[part], self.counts[part]

    def postings(self) -> Postings:
        """All postings of the bucket."""
        lengths = np.diff(self.ends, prepend=0)
        hashes = np.repeat(self.hashes, lengths)
        return Postings(hashes, self.positions.astype(np.uint32), self.counts)
