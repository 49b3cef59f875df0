"""``docs/formats.md`` agrees with the parsers, and each parser describes its format."""

from __future__ import annotations

from pathlib import Path

from tvdb_assets.parsing.format_registry import all_containers, all_parsers
from tvdb_assets.parsing.formats_reference import render_page

_PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


def test_the_page_is_up_to_date() -> None:
    assert _PAGE.read_text("utf-8") == render_page(), "run `make formats`"


def test_every_format_states_what_it_preserves() -> None:
    for each in (*all_parsers(), *all_containers()):
        assert each.preserved and each.not_preserved
        assert "|" not in each.preserved + each.not_preserved + each.name
