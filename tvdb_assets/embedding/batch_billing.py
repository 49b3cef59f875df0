"""How many tokens a batch job is billed: pure.

What belongs here: the tokens to post when a job has ended. What does not: the price
(`spend_guard`), or what becomes of texts without a vector (`batch_jobs`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tvdb_assets.embedding.batch_service import BatchResults

_MOST_COUNTED_FOR_ONE = 4
"""No tokenizer makes one token of so many that are counted here."""


def billed_tokens(
    results: BatchResults,
    counted: Mapping[bytes, int],
    most: Mapping[bytes, int],
    *,
    completed: int | None,
    reported: int | None,
    is_count_exact: bool,
) -> int:
    """Tokens to post for a job, never fewer than the service can have billed.

    The service bills the texts that it has completed. A text that is in no file of the job may be
    one of them: unless the numbers show that it is not, it counts at the most.

    Args:
        results: of the files.
        counted: tokens of each text of the job, as counted here.
        most: tokens that each text is billed at most.
        completed: number of texts that the service has completed; None if it does not say.
        reported: tokens of the whole job, as the service reports; None if it does not say.
        is_count_exact: whether the service never bills less than is counted here.
    """
    known = sum(
        _of_text(results.tokens[text], counted[text], most[text], is_count_exact)
        for text in results.tokens
    )
    unseen = sorted(
        (
            most[text]
            for text in counted.keys() - results.tokens.keys() - results.refused - results.expired
        ),
        reverse=True,
    )
    if completed is not None:
        unseen = unseen[: max(0, completed - len(results.tokens))]
    if reported and not is_count_exact:
        return max(known, reported)
    return max(known + sum(unseen), reported or 0)


def _of_text(reported: int | None, counted: int, most: int, is_count_exact: bool) -> int:
    if reported is None:
        return most
    if is_count_exact:
        return max(reported, counted)
    return reported if reported * _MOST_COUNTED_FOR_ONE >= counted else most
