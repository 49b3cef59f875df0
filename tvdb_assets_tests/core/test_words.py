"""Words of texts: what is typed in another spelling is found, and what differs is not."""

from __future__ import annotations

import pytest

from tvdb_assets.core.languages import detect_language
from tvdb_assets.core.words import normalize, split_words, terms_of

_THAI = "\u0e1c\u0e39\u0e49\u0e40\u0e2d\u0e32\u0e1b\u0e23\u0e30\u0e01\u0e31\u0e19"


def terms(text: str, language: str | None = None) -> set[str]:
    return {term for word in split_words(normalize(text)) for term in terms_of(word, language)}


@pytest.mark.parametrize(
    ("written", "asked", "language"),
    [
        ("Wind/Hail deductible", "hail", "en"),
        ("Wind/Hail deductible", "wind/hail", "en"),
        ("FT-TR-91-44820", "ft\u2011tr\u201391\u221244820", "en"),
        ("FT-TR-91-44820", "FTTR9144820", "en"),
        ("the policyholder\u2019s duty", "policyholder", "en"),
        ("the policyholder\u2019s duty", "policyholder's", "en"),
        ("a fee of $412.00", "$412.00", "en"),
        ("a fee of $412.00", "412.00", "en"),
        ("eine Summe von 1.234,56 Euro", "1234.56", "de"),
        ("a sum of 1,234.56", "1234.56", "en"),
        ("1,234 cases", "1234", "en"),
        ("l\u2019assurance habitation", "assurance", "fr"),
        ("l'assurance habitation", "l\u2019assurance", "fr"),
        ("die Sch\u00e4den", "Schaden", "de"),
        ("Stra\u00dfe", "STRASSE", "de"),
        ("M\u00fcnchen", "Muenchen", "de"),
        ("write to claims@example.com", "claims@example.com", "en"),
        ("nach \u00a7 433 BGB", "\u00a7433", "de"),
        ("am 05.03.2024", "05.03.2024", "de"),
        ("insur\u00adance", "insurance", "en"),
        ("EUR 750\u00b9", "750", "en"),
        ("the premium\u00b2 is due", "premium", "en"),
        ("EUR 750\u1d43", "750", "en"),
        ("an area of 90 m\u00b2", "m2", "en"),
        ("insur-\nance", "insurance", "en"),
        ("\ufb01re", "fire", "en"),
        ("\uff11\uff12\uff13", "123", "ja"),
        ("e-mail", "email", "en"),
        ("cafe\u0301", "caf\u00e9", "fr"),
        ("\u4fdd\u967a\u5951\u7d04\u8005\u306f", "\u5951\u7d04", "ja"),
        (_THAI, _THAI[-6:], "th"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940", "hi"),
    ],
)  # fmt: skip
def test_a_word_is_found_in_each_spelling(written: str, asked: str, language: str) -> None:
    assert terms(asked, language) <= terms(written, language)


@pytest.mark.parametrize(
    ("one", "other"),
    [("$412.00", "$413.00"), ("FT-TR-91-44820", "FT-TR-91-44821"), ("05.03.2024", "05.04.2024")],
)
def test_numbers_that_differ_have_a_term_that_differs(one: str, other: str) -> None:
    assert terms(one) != terms(other)


def test_the_number_of_terms_of_a_word_does_not_depend_on_the_language() -> None:
    words = split_words(
        normalize("Wind/Hail l'assurance $1.00 a.b@c.de \u4fdd\u967a Haus-T\u00fcr")
    )
    for word in words:
        counts = {len(terms_of(word, language)) for language in (None, "en", "de", "fr", "ja")}
        assert len(counts) == 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The policyholder must report the damage within ten days of the event.", "en"),
        ("Der Versicherungsnehmer muss den Schaden innerhalb von zehn Tagen melden.", "de"),
        ("El tomador del seguro debe comunicar el siniestro en un plazo de diez d\u00edas.", "es"),
        ("L\u2019assureur couvre les d\u00e9g\u00e2ts des eaux de l\u2019habitation.", "fr"),
        ("\u640d\u5bb3\u3092\u5831\u544a\u3057\u306a\u3051\u308c\u3070\u306a\u3089", "ja"),
        ("FT-TR-91-44820 412.00", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_language_of_a_text_is_found_or_left_open(text: str, language: str | None) -> None:
    assert detect_language([text]) == language
