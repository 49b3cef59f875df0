"""Normalization: invariants of every normalized text, and an example of each rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.core.normalization import normalize

# Surrogates, control and invisible characters are rare in the texts of hypothesis.
_DIFFICULT = st.text(
    st.sampled_from("\x00\r\n\t\x0b\x0c\x1b\x7f\x85\u2028\ud800\udfff\u200b\u200d\ufeff\u00adﬁab ")
)


@given(st.one_of(_DIFFICULT, st.text()))
def test_output_is_clean_and_stable(raw: str) -> None:
    once = normalize(raw).text
    assert not set(once) & set("\x00\r\x0b\x1b\x7f\x85\u2028\u200b\ufeff\u00adﬁ")
    assert once.encode("utf-8").decode("utf-8") == once  # no surrogates are left
    assert normalize(once).text == once


@given(st.one_of(_DIFFICULT, st.text()))
def test_counts_are_exact(raw: str) -> None:
    result = normalize(raw)
    assert result.nul_removed == raw.count("\x00")
    assert result.surrogates_replaced == sum("\ud800" <= char <= "\udfff" for char in raw)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\r\x00\nb", "a\nb"),
        ("o\ufb03ce \ufb01nd \ufb06", "office find st"),
        ("s\u200be\u2060a\u00adr\ufeffch", "search"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # ZWNJ carries meaning
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),  # ZWJ too
        ("tab\tfeed\x0cbell\x07", "tab\tfeed\x0cbell"),
        ("\ud83d", "\ufffd"),
        ("plain", "plain"),
    ],
)
def test_rule(raw: str, clean: str) -> None:
    assert normalize(raw).text == clean
