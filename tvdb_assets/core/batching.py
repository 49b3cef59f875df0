"""Batches: texts put together into as few requests as a service's limits allow.

What belongs here: pure arithmetic on counts. What does not: what a limit is (each client
knows its own), or what becomes of a batch that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(
    tokens: Sequence[int], *, max_inputs: int, max_tokens: int
) -> Iterator[tuple[int, int]]:
    """Cut a sequence of texts into runs that each fit one request.

    Args:
        tokens: of each text, in order.
        max_inputs: most texts in a batch.
        max_tokens: most tokens in a batch; a longer text is a batch of its own.

    Yields:
        (start, end) of each batch, end exclusive; together they cover all texts, in order.
    """
    start = total = 0
    for at, count in enumerate(tokens):
        if at > start and (at - start == max_inputs or total + count > max_tokens):
            yield start, at
            start, total = at, 0
        total += count
    if start < len(tokens):
        yield start, len(tokens)


def halves(start: int, end: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """A refused batch in two, to find the text that it was refused for."""
    middle = (start + end) // 2
    return (start, middle), (middle, end)
