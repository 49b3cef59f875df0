"""Batches keep the order, the limits, and every text."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.core.batching import split_in_half, split_into_batches


@given(st.lists(st.integers(0, 500), max_size=200), st.integers(1, 50), st.integers(1, 1_000))
def test_batches_cover_all_texts_in_order_within_the_limits(
    tokens: list[int], max_inputs: int, max_tokens: int
) -> None:
    cut = list(split_into_batches(tokens, max_inputs=max_inputs, max_tokens=max_tokens))
    assert [at for start, end in cut for at in range(start, end)] == list(range(len(tokens)))
    for start, end in cut:
        assert 1 <= end - start <= max_inputs
        # Only a text that is longer than the limit by itself exceeds it, alone.
        assert sum(tokens[start:end]) <= max_tokens or end - start == 1
    for (start, end), (_, following) in pairwise(cut):
        # None is cut short without need.
        assert following > end
        assert end - start == max_inputs or sum(tokens[start : end + 1]) > max_tokens


@given(st.integers(0, 10**6), st.integers(2, 10**6))
def test_halves_are_two_parts_that_make_the_whole(start: int, count: int) -> None:
    (first, middle), (again, last) = split_in_half(start, start + count)
    assert (first, last) == (start, start + count)
    assert middle == again
    assert 0 <= (last - middle) - (middle - first) <= 1
    assert first < middle < last
