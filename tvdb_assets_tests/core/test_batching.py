"""Batches cover every text in order and within the limits."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.core.batching import split_in_half, split_into_batches


@given(st.lists(st.integers(0, 500), max_size=200), st.integers(1, 50), st.integers(1, 1_000))
def test_batches_cover_all_texts_in_order_within_the_limits(
    tokens: list[int], max_inputs: int, max_tokens: int
) -> None:
    batches = list(split_into_batches(tokens, max_inputs=max_inputs, max_tokens=max_tokens))
    assert [index for start, end in batches for index in range(start, end)] == list(
        range(len(tokens))
    )
    for start, end in batches:
        assert 1 <= end - start <= max_inputs
        # Only a single text that is longer than the limit may exceed it.
        assert sum(tokens[start:end]) <= max_tokens or end - start == 1
    for (start, end), (_, following) in pairwise(batches):
        # No batch could have held the next text too.
        assert following > end
        assert end - start == max_inputs or sum(tokens[start : end + 1]) > max_tokens


@given(st.integers(0, 10**6), st.integers(2, 10**6))
def test_two_halves_cover_the_batch(start: int, count: int) -> None:
    (first, middle), (second_start, last) = split_in_half(start, start + count)
    assert (first, last) == (start, start + count)
    assert middle == second_start
    assert 0 <= (last - middle) - (middle - first) <= 1
    assert first < middle < last
