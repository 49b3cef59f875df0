"""Web pages: what their reader sees is stored, and nothing else."""

from __future__ import annotations

import pytest

from tvdb_assets.parsing.document_parser import parse_document

_MAIN = "<p>A paragraph that is long enough to be the main text of this page for its reader.</p>"


def _text(body: str) -> str:
    return parse_document(
        f"<!doctype html><html><body>{body}</body></html>".encode(), "a.html"
    ).text


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("<header><h1>Policy HO-3</h1><p>Form 88.</p></header><main>{}</main>", "Policy HO-3"),
        ("<header><h1>Policy HO-3</h1><nav><a href=/>Menu entry</a></nav></header>{}", "# Policy"),
        ("<h1>Policy HO-3</h1><div id=content>{}</div>", "# Policy HO-3"),
        ("<main>{}<aside class=note><p>Jewelry up to 1,500.</p></aside></main>", "1,500"),
        ("<main>{}</main><aside role=complementary><p>Call 0800 417.</p></aside>", "0800 417"),
        ("{}<h3><button>What is covered</button></h3><p>Fire.</p>", "### What is covered"),
        ("{}<button class=faq-item>Flood</button><div style='display:none'>No.</div>", "Flood"),
        ("{}<button aria-controls=p1>Theft</button><p>x</p><div id=p1 hidden>Yes.</div>", "Yes."),
        ("{}<button aria-expanded=false>Hail</button><div hidden>Covered.</div>", "Covered."),
        ("{}<details><summary>Mold?</summary><p>5,000.</p></details>", "Mold?\n\n5,000."),
        ("{}<div role=tabpanel aria-labelledby=t style='display: none'>Tab.</div>", "Tab."),
        ("{}<label>Deductible <input value=500></label>", "Deductible 500"),
        ("{}<textarea>a note</textarea>", "a note"),
        ("{}<select><option>A<option selected>B</select>", "B"),
        ("{}<input type=checkbox checked>yes <input type=radio>no", "☒ yes ☐ no"),
        ("{}<ol start=4 type=a><li>rain<li value=9>hail</ol>", "d. rain\ni. hail"),
        ("{}<dl><dt>Insured<dd>The person named.</dl>", "Insured\n\nThe person named."),
    ],
)
def test_what_a_page_shows_is_kept(body: str, kept: str) -> None:
    text = _text(body.replace("{}", _MAIN))
    assert kept in text
    assert "main text of this page" in text
    assert "Menu entry" not in text


@pytest.mark.parametrize(
    "body",
    [
        "<button>Gone</button>",
        "<button type=submit class=primary>Gone</button>",
        "<input type=hidden value=Gone>",
        "<input type=password value=Gone>",
        "<select><option>A<option value=g>Gone</select>",
        "<p hidden>Gone</p>",
        "<p style='visibility: hidden'>Gone</p>",
        "<aside class=sidebar><a href=/>Gone</a></aside>",
        "<header class=masthead><a href=/>Gone</a></header>",
    ],
)
def test_what_a_page_hides_or_offers_as_a_command_is_left_out(body: str) -> None:
    assert "Gone" not in _text(_MAIN + body)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("EUR 750<sup>1</sup>", "EUR 750¹"),
        ("EUR 750<sup><a href='#f'>a</a></sup>", "EUR 750ᵃ"),
        ("on 3<sup>rd</sup> May", "on 3rd May"),
        ("750<sup>[2]</sup>", "750[2]"),
        ("10 km<sup>2</sup>", "10 km²"),
        ("x<sup>n/2</sup>", "x^(n/2)"),
        ("H<sub>2</sub>O", "H2O"),
        ("<table><tr><td>a<td>7<sup>1</sup><tr><td>b<td>8</table>", "| a | 7¹ |"),
    ],
)
def test_superscripts_join_no_number(source: str, text: str) -> None:
    assert text in _text(f"<p>{source}</p>")


@pytest.mark.parametrize(
    "source",
    [
        '<p><a href="x>first</a> All the text.</p><p class="y">last</p>',
        "<p><a href='x>first</a> All the text.</p><p>last</p>",
        "<p>first</p><img alt=\"it's><p>All the text.</p><p>last</p>",
        "<p>first</p><!-- open <p>All the text.</p><p>last</p>",
        "<title>first <p>All the text.</p><p>last</p>",
    ],
)
def test_an_open_quote_or_comment_costs_no_page(source: str) -> None:
    text = _text(source)
    assert all(piece in text for piece in ("first", "All the text.", "last"))
    assert "<p" not in text


def test_values_that_hold_tags_are_no_open_quotes() -> None:
    source = '<p data-tip="<b>tip</b>" title="a > b">Kept</p><p title="c">too</p>'
    assert _text(source) == "Kept\n\ntoo"
