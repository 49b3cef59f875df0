"""The page of formats says what the parsers say."""

from __future__ import annotations

from pathlib import Path

from tvdb_assets.parsing.formats import all_parsers
from tvdb_assets.parsing.formats_reference import page

_PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


def test_the_page_is_in_step() -> None:
    assert _PAGE.read_text(encoding="utf-8") == page(), "run `make formats`"


def test_every_parser_says_what_is_kept_and_lost() -> None:
    for parser in all_parsers():
        assert parser.kept and parser.lost
        assert "|" not in parser.kept + parser.lost + parser.name
