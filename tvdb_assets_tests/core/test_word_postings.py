"""The encoding of postings: what goes in comes out, in segments and in merges."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.core.word_postings import (
    Bucket,
    Postings,
    bits_of,
    bucket_bits_for,
    bucket_of,
    encode_buckets,
)

_HASHES = st.integers(0, 2**64 - 1)


def _decoded(postings: Postings, bits: int, *, is_wide: bool) -> dict[tuple[int, int], int]:
    found = {}
    for bucket, data in encode_buckets(postings, bits, is_wide=is_wide):
        part = Bucket.decode(data, is_wide=is_wide)
        assert (bucket_of(part.hashes.astype(np.uint64), bits) == bucket).all()
        for term in part.hashes.tolist():
            at = part.find(term)
            assert at is not None
            for position, count in zip(at[0].tolist(), at[1].tolist(), strict=True):
                found[term, position] = count
    return found


@given(
    st.lists(st.lists(_HASHES | st.integers(0, 5), max_size=20), max_size=10),
    st.sampled_from([0, 1, 7, 16]),
    st.booleans(),
)
def test_all_postings_are_found_again(chunks: list[list[int]], bits: int, is_wide: bool) -> None:
    hashes = [term for chunk in chunks for term in chunk]
    positions = np.repeat(np.arange(len(chunks), dtype=np.uint32), [len(c) for c in chunks])
    postings = Postings.of(np.array(hashes, np.uint64), positions.astype(np.uint32))

    expected = Counter((term, at) for at, chunk in enumerate(chunks) for term in chunk)

    assert _decoded(postings, bits, is_wide=is_wide) == expected


def test_a_term_that_no_chunk_has_is_not_found() -> None:
    postings = Postings.of([5, 9], np.array([0, 1], np.uint32))
    [(_, data)] = encode_buckets(postings, 0, is_wide=False)
    bucket = Bucket.decode(data, is_wide=False)
    assert [bucket.find(term) is None for term in (0, 5, 7, 9, 2**64 - 1)] == [
        *(True, False, True, False, True)
    ]


def test_a_merge_keeps_the_order_of_the_parts() -> None:
    first = Postings.of([5, 9], np.array([0, 1], np.uint32))
    second = Postings.of([5, 5], np.array([2, 3], np.uint32))
    merged = Postings.merged([first, second])
    assert merged.hashes.tolist() == [5, 5, 5, 9]
    assert merged.positions.tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize("count", [0, 1, 8, 9, 1000])
def test_bits_of_positions_are_read_as_they_were_written(count: int) -> None:
    bits = np.arange(count) % 3 == 0
    assert (bits_of(np.packbits(bits, bitorder="little").tobytes(), count) == bits).all()


def test_larger_segments_have_more_buckets() -> None:
    assert [bucket_bits_for(size) for size in (0, 5_999, 6_000, 10**6, 10**12)] == [0, 0, 1, 8, 16]
