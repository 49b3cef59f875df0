"""Which pages are to be read by OCR: those with ink that no text of the page covers.

What belongs here: the choice, by the text and a small picture of a page. What does not: OCR
(`reading.ocr`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liteparse import PageComplexityStats
    from PIL.Image import Image

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in points from the top left corner."""

_SPARSE_LETTERS = 300  # a third of a page: a header, a stamp, a short letter
_PICTURE_SHARE = 0.04  # share of a page that pictures cover
_DARK = 190  # of 255, in a small picture that blurs thin strokes
_WHITE = 225
_MIN_INK = 0.0015  # share of the page: about five words
_MIN_PAPER = 0.4  # share of white around ink that is text; a photo has less
_MIN_TOKENS = 5
_GARBLED = 0.5  # share of tokens that are no words
_WORD = re.compile(r"^[^\w]*(?:[^\W\d_]+(?:[\u2019'\-][^\W\d_]+)*|[\d.,:/%$€£\-]+)[^\w]*$")
_VOWELS = frozenset("aeiouyäöüàáâãèéêëìíîïòóôõùúûýåæøœ")
_BAD = re.compile(r"[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f]")


def may_have_scan(stats: PageComplexityStats, text: str) -> bool:
    """Whether it is worth drawing the page to look for ink."""
    letters = len("".join(text.split()))
    return letters < _SPARSE_LETTERS or (
        not stats.full_page_image and stats.image_coverage >= _PICTURE_SHARE
    )


def is_garbled(text: str, is_over_picture: bool) -> bool:
    """Whether the text of a page is not what a person sees.

    Args:
        text: of the page.
        is_over_picture: whether a picture fills the page, so that the text is an invisible layer.
    """
    letters = "".join(text.split())
    if not letters:
        return False
    if len(_BAD.findall(letters)) > 0.2 * len(letters):
        return True
    tokens = text.split()
    if not is_over_picture or len(tokens) < _MIN_TOKENS:
        return False
    return sum(map(_is_word, tokens)) < (1 - _GARBLED) * len(tokens)


def _is_word(token: str) -> bool:
    if not _WORD.match(token):
        return False
    letters = [letter for letter in token.lower() if letter.isalpha()]
    if not letters or any(ord(letter) > 0x24F for letter in letters):
        return True
    return len(letters) <= 4 or not _VOWELS.isdisjoint(letters)


def has_uncovered_ink(picture: Image, covered: Sequence[Box], dpi: float, is_sparse: bool) -> bool:
    """Whether ink is left that may be text, apart from the words of the page.

    Args:
        picture: the page, grayscale.
        covered: the words of the page.
        dpi: of the picture.
        is_sparse: whether the page has little text, so that any ink is worth reading.
    """
    from PIL import ImageDraw

    scale = dpi / 72
    draw = ImageDraw.Draw(picture)
    for left, top, right, bottom in covered:
        draw.rectangle(
            (left * scale - 1, top * scale - 1, right * scale + 1, bottom * scale + 1), fill=255
        )
    ink = picture.point(lambda value: 255 if value < _DARK else 0)
    box = ink.getbbox()
    if box is None:
        return False
    share = ink.histogram()[255] / (picture.width * picture.height)
    if share < _MIN_INK:
        return False
    if is_sparse:
        return True
    inside = picture.crop(box)
    paper = sum(inside.histogram()[_WHITE:]) / (inside.width * inside.height)
    return paper >= _MIN_PAPER
