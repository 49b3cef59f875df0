"""The words of a text, as search compares them.

What belongs here: normalization, splitting and stemming. What does not: storing words
(`repositories.word_store`), or ranking by them (`retrieval.word_ranking`).

A text is normalized first: marks of notes are parted from their word (``750¹``), then
compatibility forms (NFKC), case, and all kinds of hyphens, apostrophes
and invisible characters. A word that contains marks, such as ``Wind/Hail``, ``FT-TR-91-44820`` or
``$412.00``, is taken as a whole, and its parts are taken too. Words are stemmed by the rules of the
language of their document. Scripts without spaces are cut into single characters and pairs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from itertools import pairwise
from typing import TypeAlias

from tvdb_assets.core.superscripts import separate_marks

VERSION = 1
"""Increase it whenever the same text would give other words; a migration takes them again."""
Term: TypeAlias = int
"""64-bit hash of a term."""

_STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian",
    "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali",
    "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
    "yi": "yiddish",
}  # fmt: skip
"""Snowball stemmers by language."""

# Letters, digits, and the marks that belong to letters of scripts outside of Latin.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0963"
    "\u0981-\u0983\u09bc-\u09d7\u0a01-\u0a51\u0a81-\u0acd\u0b01-\u0b57\u0b82-\u0bd7\u0c00-\u0c56"
    "\u0c81-\u0cd6\u0d00-\u0d57\u0d81-\u0df3\u0e31-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0ec8-\u0ecd"
    "\u102b-\u103e\u1056-\u1059\u17b4-\u17d3"
)
_LETTERS = rf"[\w{_MARKS}]+"
_WORD = re.compile(rf"(?:[$€£¥]|§+\s?)?{_LETTERS}(?:[-'/.,:@&+]{_LETTERS})*")
_ASCII_WORD = re.compile(r"\$?[a-z0-9_]+(?:[-'/.,:@&+][a-z0-9_]+)*")
_PARTS = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
_JOINT = re.compile(r"[-'/.,:@&+_$€£¥§]")
_NUMBER = re.compile(r"\d+(?:[.,']\d+)*")
_LINE_END_HYPHEN = re.compile(r"(?<=\w)-[ \t]*\n\s*(?=[^\W\d_])")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005\u3040-\u30ff\u3130-\u318f"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003134f]+"
)
_CLUSTERS = re.compile(rf"[^{_MARKS}][{_MARKS}]*|[{_MARKS}]+")
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]+")
_SAME = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02b9\u02bc\u02bb\u02c8\u0060\u00b4", "'"),
    **dict.fromkeys("\u2044\u2215", "/"),
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u202a\u202b\u202c", ""),
}
_TRANSLATION = str.maketrans(_SAME)


def normalize(text: str) -> str:
    """A text in the one form in which its words are compared."""
    if not text.isascii():
        # Before NFKC, which would turn an acute accent into a space and a combining accent.
        text = unicodedata.normalize(
            "NFKC", separate_marks(text).translate(_TRANSLATION)
        ).translate(_TRANSLATION)
    return _LINE_END_HYPHEN.sub("", text.casefold()) if "-" in text else text.casefold()


def split_words(normalized: str) -> list[str]:
    """The words of a normalized text, in order; words with marks in them are whole."""
    return (_ASCII_WORD if normalized.isascii() else _WORD).findall(normalized)


def terms_of(word: str, language: str | None) -> tuple[str, ...]:
    """The terms under which one normalized word is found: itself, or its parts and itself.

    The number of terms of a word is the same in all languages.
    """
    if word.isalnum() or _JOINT.search(word) is None:
        return _simple_terms(word, language)
    number = _NUMBER.fullmatch(word.lstrip("$€£¥"))
    if number is not None:
        return _plain_number(number[0]), word
    parts = _PARTS.findall(word)
    # What an elision or a genitive leaves is no word: l'assurance, policyholder's.
    parts = [part for part in parts if len(part) > 1 or not part.isascii()] or parts
    terms = [term for part in parts for term in _simple_terms(part, language)]
    whole = re.sub(r"[-_\s]", "", word)
    if "'" not in word:
        terms += _simple_terms(whole, language) if whole.isalnum() else (whole,)
    return (*terms,)


def hash_term(term: str) -> Term:
    """The number that stands for a term in the index."""
    return int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class TermCache:
    """Hashes of the terms of words in one language; computed once for each word."""

    _MOST = 500_000

    def __init__(self, language: str | None) -> None:
        """The cache is empty at first."""
        self._language = language
        self._known: dict[str, tuple[Term, ...]] = {}

    def __call__(self, word: str) -> tuple[Term, ...]:
        """Hashes of the terms of one normalized word."""
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= self._MOST:
                self._known.clear()
            found = (*dict.fromkeys(map(hash_term, terms_of(word, self._language))),)
            self._known[word] = found
        return found


@cache
def term_cache(language: str | None) -> TermCache:
    """The cache of this process for a language."""
    return TermCache(language)


def _simple_terms(word: str, language: str | None) -> tuple[str, ...]:
    if not word.isascii():
        pieces = _UNSPACED.split(word)
        runs = _UNSPACED.findall(word)
        if runs:
            terms = [term for run in runs for term in _pairs(run)]
            terms += [term for piece in pieces if piece for term in _simple_terms(piece, language)]
            return (*terms,)
    if any(map(str.isdigit, word)):
        return (_without_accents(word),)
    return (_without_accents(_stemmer(language)(word)),)


def _pairs(run: str) -> list[str]:
    clusters = _CLUSTERS.findall(run)
    return clusters + [a + b for a, b in pairwise(clusters)]


def _plain_number(number: str) -> str:
    """A number without separators of thousands, and with a point: 1234.56 for 1.234,56."""
    marks = re.findall(r"[.,']", number)
    if not marks:
        return number
    head, mark, tail = number.rpartition(marks[-1])
    is_grouped = all(len(part) == 3 for part in re.split(r"[.,']", number)[1:])
    if len(set(marks)) == 1 and (len(marks) > 1 or (is_grouped and mark != ".")):
        # 1.234.567, 1'234 or 1,234; but a date or a section number keeps its points.
        return re.sub(r"[.,']", "", number) if is_grouped else number
    whole = re.sub(r"[.,']", "", head)
    return f"{whole}.{tail}"


def _without_accents(word: str) -> str:
    if word.isascii():
        return word
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", word))


@cache
def _stemmer(language: str | None) -> Callable[[str], str]:
    name = _STEMMERS.get(language or "")
    if name is None:
        return str
    from Stemmer import Stemmer

    stem: Callable[[str], str] = Stemmer(name).stemWord
    return stem
