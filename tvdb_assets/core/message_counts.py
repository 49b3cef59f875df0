"""Counts with their nouns in messages to users: ``1 document``, ``1,200 documents``.

What belongs here: the choice between singular and plural. What does not: the messages (their
callers), or amounts of money (`spend_guard.budget`).
"""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """Format a count with its noun.

    Args:
        count: the number, displayed with separators of thousands.
        one: the text after the number 1: ``document`` or ``document waits``.
        many: the text after any other number; None appends an "s" to ``one``.

    Returns:
        The number and the text, without a full stop.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
