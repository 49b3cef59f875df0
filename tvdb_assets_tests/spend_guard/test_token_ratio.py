"""Upper bounds of tokens under tokenizers that are not known."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.spend_guard.token_ratio import (
    ENOUGH_TOKENS,
    EQUAL_TOKENS,
    TokenBound,
    TokenRatio,
)

count_tokens("")  # Loads the vocabulary, which would exceed the deadline of an example.
PROSE = "The insurer covers damage by water if the insured reported it within three days. "


def bound_of(text: str) -> TokenBound:
    return TokenBound.of(text, count_tokens(text))


def of_bytes(text: str) -> int:
    return len(text.encode()) + 2


def of_words_and_digits(text: str) -> int:
    """As of a small vocabulary of English: words, and each other character by itself."""
    return len(re.findall(r"[A-Za-z]{1,4}|[^A-Za-z ]", text)) + 2


@given(st.text(max_size=300))
def test_no_tokenizer_exceeds_the_first_bound(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    bound = TokenRatio().bound([bound_of(text)])
    assert max(of_bytes(text), of_words_and_digits(text), count_tokens(text)) <= bound


def test_a_ligature_that_a_tokenizer_expands_is_within_the_first_bound() -> None:
    assert TokenRatio().bound([bound_of("\ufdfa" * 100)]) >= 100 * 18


@given(
    text=st.text(
        st.one_of(st.sampled_from("0123456789|,.;:-\n"), st.characters(exclude_categories=["Cs"])),
        max_size=400,
    )
)
def test_a_ratio_of_prose_bounds_numbers_and_other_scripts(text: str) -> None:
    prose = PROSE * 60
    learned = TokenRatio().learn(count_tokens(prose), of_words_and_digits(prose), 10**6)
    assert learned.is_known
    mixed = PROSE + text
    assert of_words_and_digits(mixed) <= learned.bound([bound_of(mixed)])


def test_few_tokens_teach_nothing_unless_they_exceed_their_bound() -> None:
    assert TokenRatio().learn(ENOUGH_TOKENS - 1, 600, 10_000).ratio == 0
    known = TokenRatio().learn(ENOUGH_TOKENS, 600, 10_000)
    assert known.ratio == 600 / ENOUGH_TOKENS
    assert known.learn(10, 30, 50).ratio == known.ratio
    assert known.learn(10, 51, 50).ratio == 5.1


def test_equal_bills_make_the_count_the_bound_until_one_differs() -> None:
    text = bound_of(PROSE)
    ratio = TokenRatio()
    while not ratio.is_equal:
        assert ratio.bound([text]) > text.counted
        ratio = ratio.learn(EQUAL_TOKENS // 4, EQUAL_TOKENS // 4, 10_000)
    assert ratio.bound([text] * 3) == 3 * text.counted
    ratio = ratio.learn(100, 101, 100)
    assert not ratio.is_equal
    assert ratio.bound([text]) > text.counted
    assert not ratio.learn(EQUAL_TOKENS, EQUAL_TOKENS, EQUAL_TOKENS).is_equal


@pytest.mark.parametrize("tokenizer", [of_bytes, of_words_and_digits, count_tokens])
def test_what_is_learned_of_prose_reserves_little_more_than_is_billed(
    tokenizer: object,
) -> None:
    assert callable(tokenizer)
    text = PROSE * 60
    learned = TokenRatio().learn(count_tokens(text), tokenizer(text), 10**6)
    assert tokenizer(text) <= learned.bound([bound_of(text)]) <= 1.5 * tokenizer(text)
