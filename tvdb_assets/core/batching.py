"""Splits texts into as few batches as the limits of a service allow.

What belongs here: pure arithmetic on counts. What does not: the limits (each client knows its
own), and the handling of a refused batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def split_into_batches(
    tokens: Sequence[int], *, max_inputs: int, max_tokens: int
) -> Iterator[tuple[int, int]]:
    """Split a sequence of texts into batches that each fit one request.

    Args:
        tokens: The size of each text in tokens, in order.
        max_inputs: Maximum number of texts in a batch.
        max_tokens: Maximum number of tokens in a batch; a longer text is a batch alone.

    Yields:
        (start, end) of each batch, end exclusive. Together they cover all texts, in order.
    """
    start = total = 0
    for index, count in enumerate(tokens):
        if index > start and (index - start == max_inputs or total + count > max_tokens):
            yield start, index
            start, total = index, 0
        total += count
    if start < len(tokens):
        yield start, len(tokens)


def split_in_half(start: int, end: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The two halves of a refused batch, to find the text that caused the refusal."""
    middle = (start + end) // 2
    return (start, middle), (middle, end)
