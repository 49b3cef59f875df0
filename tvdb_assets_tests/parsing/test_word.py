"""Word documents are stored as Word shows them: numbers, ticks, boxes, notes, hidden text."""

from __future__ import annotations

import pytest

from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets.parsing.markdown.list_numbers import format_number
from tvdb_assets_tests.parsing.sample_files import make_zip

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
_SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    f'xmlns:r="{_OFFICE}/relationships" xmlns:m="{_OFFICE}/math" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)


def _word(body: str, **parts: str) -> ParsedDocument:
    """Parse a document with this body; a part is named by its kind, or by its member's name."""
    members = {"[Content_Types].xml": "<Types/>"}
    package = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    links = ""
    for name, content in parts.items():
        kind, _, ending = name.partition("__")
        member = f"{kind}.{ending or 'xml'}"
        kind = {"data": "diagramData", "chunk": "aFChunk"}.get(kind, kind)
        links += f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{member}"/>'
        root = {"footnotes": "footnotes", "header": "hdr"}.get(kind, kind)
        plain = ending or kind == "diagramData"
        members[f"word__{member}"] = (
            content if plain else f"<w:{root} {_SPACES}>{content}</w:{root}>"
        )
    members["word___rels__document.xml.rels"] = f"<Relationships {package}>{links}</Relationships>"
    members["word__document.xml"] = f"<w:document {_SPACES}><w:body>{body}</w:body></w:document>"
    return parse_document(make_zip(**members), "a.docx")


def _p(text: str, properties: str = "", look: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{_r(text, look)}</w:p>"


def _r(text: str, look: str = "") -> str:
    return f'<w:r><w:rPr>{look}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def _in_list(text: str, level: int, number: int = 1) -> str:
    mark = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return _p(text, mark)


def _level(at: int, form: str, text: str, more: str = "") -> str:
    return (
        f'<w:lvl w:ilvl="{at}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


_LISTS = (
    '<w:abstractNum w:abstractNumId="0">'
    + _level(0, "upperRoman", "Article %1.")
    + _level(1, "decimal", "%1.%2", "<w:isLgl/>")
    + _level(2, "lowerLetter", "(%3)")
    + _level(3, "bullet", "\uf0b7")
    + '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
    '<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0">'
    '<w:startOverride w:val="9"/></w:lvlOverride></w:num>'
)


def _lines(parsed: ParsedDocument) -> list[str]:
    return [line for line in parsed.text.split("\n") if line]


# --- numbers of clauses


def test_clauses_have_the_numbers_that_word_shows() -> None:
    body = (
        _in_list("Cover", 0) + _in_list("Fire", 1) + _in_list("Water:", 1) + _in_list("rain", 2)
        + _in_list("flood", 2) + _in_list("a point", 3) + _p("Between.") + _in_list("Limits", 0)
        + _in_list("Per year", 1) + _in_list("Annex", 0, 2) + _in_list("Table", 1, 2)
    )  # fmt: skip
    assert _lines(_word(body, numbering=_LISTS)) == [
        "Article I. Cover", "1.1 Fire", "1.2 Water:", "(a) rain", "(b) flood", "- a point",
        "Between.", "Article II. Limits", "2.1 Per year", "Article IX. Annex", "9.1 Table",
    ]  # fmt: skip


def test_a_heading_style_brings_its_number_and_zero_takes_it_away() -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/><w:pPr><w:numPr>'
        '<w:numId w:val="1"/></w:numPr></w:pPr></w:style><w:style w:type="paragraph" '
        'w:styleId="Own"><w:name w:val="Klausel"/><w:basedOn w:val="H2"/></w:style>'
    )
    lists = _LISTS.replace("<w:isLgl/>", '<w:pStyle w:val="H2"/>')
    none = '<w:numPr><w:numId w:val="0"/></w:numPr>'
    body = (
        _in_list("Cover", 0) + _p("Scope", '<w:pStyle w:val="H2"/>')
        + _p("Period", '<w:pStyle w:val="Own"/>') + _p("Notes", f'<w:pStyle w:val="Own"/>{none}')
        + _p("Raised", '<w:outlineLvl w:val="0"/>')
    )  # fmt: skip
    parsed = _word(body, numbering=lists, styles=styles)
    assert [(h.level, h.title) for h in parsed.headings] == [
        (2, "I.1 Scope"), (2, "I.2 Period"), (2, "Notes"), (1, "Raised"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "form", "text"),
    [
        (4, "lowerRoman", "iv"), (28, "upperLetter", "BB"), (7, "decimalZero", "07"),
        (22, "ordinal", "22nd"), (12, "ordinal", "12th"), (21, "cardinalText", "Twenty-one"),
        (30, "ordinalText", "Thirtieth"), (3, "none", ""), (5, "unheardOf", "5"),
    ],
)  # fmt: skip
def test_formats_of_numbers(number: int, form: str, text: str) -> None:
    assert format_number(number, form) == text


# --- inside of a paragraph


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (_r("EUR 750") + _r("1", '<w:vertAlign w:val="superscript"/>'), "EUR 750¹"),
        (_r("5") + _r("th", '<w:vertAlign w:val="superscript"/>') + _r(" day"), "5th day"),
        (_r("750") + _r("q", '<w:vertAlign w:val="superscript"/>'), "750^(q)"),
        (_r("H") + _r("2", '<w:vertAlign w:val="subscript"/>') + _r("O"), "H2O"),
        ("<w:r><w:t>FT</w:t><w:noBreakHyphen/><w:t>91</w:t></w:r>", "FT-91"),
        ("<w:r><w:t>pre</w:t><w:softHyphen/><w:t>mium</w:t></w:r>", "premium"),
        ("<w:r><w:t>one</w:t><w:cr/><w:t>two</w:t></w:r>", "one\ntwo"),
        ("<w:r><w:t>A</w:t><w:tab/><w:t>7</w:t></w:r>", "A 7"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>' + _r(" Yes"), "☑ Yes"),
        (_r("þ", '<w:rFonts w:ascii="Wingdings"/>') + _r(" Yes"), "☑ Yes"),
        ('<w:fldSimple w:instr="DATE">' + _r("3 May") + "</w:fldSimple>", "3 May"),
        (_r("Seen ") + _r("not", "<w:vanish/>") + _r("too", '<w:vanish w:val="0"/>'), "Seen too"),
        ("<w:del>" + _r("old") + "</w:del><w:ins>" + _r("new") + "</w:ins>", "new"),
        ("<w:ruby><w:rt/></w:ruby>" + _r("kept"), "kept"),
    ],
)
def test_what_a_paragraph_shows(source: str, text: str) -> None:
    assert _word(f"<w:p>{source}</w:p>").text == text


def _field(instruction: str, data: str = "", result: str = "") -> str:
    shown = f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{result}' if result else ""
    return (
        f'<w:r><w:fldChar w:fldCharType="begin">{data}</w:fldChar></w:r>'
        f"<w:r><w:instrText>{instruction}</w:instrText></w:r>{shown}"
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def test_form_fields_show_ticks_and_choices() -> None:
    ticked = "<w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox></w:ffData>"
    choice = (
        "<w:ffData><w:ddList><w:result w:val='1'/><w:listEntry w:val='Brick'/>"
        "<w:listEntry w:val='Thatch'/></w:ddList></w:ffData>"
    )
    control = (
        "<w:sdt><w:sdtPr><w14:checkbox><w14:checked w14:val='{}'/></w14:checkbox></w:sdtPr>"
        "<w:sdtContent>" + _r("x") + "</w:sdtContent></w:sdt>"
    )
    body = (
        "<w:p>" + _field("FORMCHECKBOX", ticked) + _r(" alarm ") + control.format(1) + _r(" fence ")
        + control.format(0) + _r(" pool, roof: ") + _field("FORMDROPDOWN", choice)
        + _field("FORMTEXT", "", _r(", 12 m")) + _field("IF " , "", _r("")) + "</w:p>"
    )  # fmt: skip
    assert _word(body).text == "☒ alarm ☒ fence ☐ pool, roof: Thatch, 12 m"


def test_a_field_inside_of_an_instruction_is_no_text_and_an_open_one_hides_nothing() -> None:
    inner = _field("X", "", _r("7"))
    instruction = f"IF </w:instrText></w:r>{inner}<w:r><w:instrText>= 7"
    outer = _field(instruction, "", _r("paid"))
    assert _word(f"<w:p>{outer}</w:p>").text == "paid"
    open_field = '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
    assert _word(f"<w:p>{open_field}{_r('kept')}</w:p>").text == "kept"


@pytest.mark.parametrize(
    ("equation", "text"),
    [
        ("<m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>",
         "(a+b)/2"),
        ("<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>",
         "x²"),
        ("<m:rad><m:deg/><m:e><m:r><m:t>n</m:t></m:r></m:e></m:rad>", "√(n)"),
        ("<m:r><m:t>P=R</m:t></m:r>", "P=R"),
    ],
)  # fmt: skip
def test_equations_are_text(equation: str, text: str) -> None:
    assert _word(f"<w:p><m:oMath>{equation}</m:oMath></w:p>").text == text


# --- what hangs on a paragraph


def test_notes_follow_their_paragraph_and_their_marks_join_no_number() -> None:
    reference = "<w:r><w:footnoteReference w:id='{}'/></w:r>"
    body = (
        "<w:p>" + _r("EUR 750") + reference.format(5) + _r(" and 80") + reference.format(3)
        + "</w:p>" + _p("Next.")
    )  # fmt: skip
    notes = "".join(
        f"<w:footnote w:id='{n}'><w:p><w:r><w:footnoteRef/></w:r>{_r(text)}</w:p></w:footnote>"
        for n, text in ((3, "net"), (5, "gross"))
    )
    assert _word(body, footnotes=notes).text == ("EUR 750¹ and 80²\n\n¹ gross\n\n² net\n\nNext.")


def test_text_boxes_are_read_once_with_and_without_a_fallback() -> None:
    box = "<w:txbxContent>" + _p("Limit {}") + "</w:txbxContent>"
    choice = (
        f"<mc:Choice Requires='wps'><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>"
    )
    fallback = f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
    both = (choice + fallback).replace("{}", "1")
    body = "".join(
        f"<w:p><w:r><mc:AlternateContent>{each}</mc:AlternateContent></w:r></w:p>"
        for each in (both, choice.replace("{}", "2"), fallback.replace("{}", "3"))
    )
    assert _lines(_word(body)) == ["Limit 1", "Limit 2", "Limit 3"]


def test_diagrams_and_inserted_files_are_text() -> None:
    diagram = (
        "<dgm:dataModel xmlns:dgm='d' xmlns:a='a'><a:p><a:r><a:t>Notify</a:t></a:r></a:p>"
        "<a:p><a:r><a:t>Inspect</a:t></a:r></a:p></dgm:dataModel>"
    )
    body = (
        '<w:p><w:r><w:drawing><dgm:relIds r:dm="data"/></w:drawing></w:r></w:p>'
        '<w:altChunk r:id="chunk__html"/><w:altChunk r:id="chunk__txt"/>' + _p("End.")
        + '<w:altChunk r:id="none"/>'
    )  # fmt: skip
    parsed = _word(
        body, data=diagram, chunk__html="<h2>Part</h2><p>From <b>HTML</b></p>", chunk__txt="Plain."
    )
    assert _lines(parsed) == [
        "- Notify", "- Inspect", "## Part", "From HTML", "Plain.", "End.",
    ]  # fmt: skip
    assert parsed.notes == ("a file that is inserted or linked is left out",)


def test_a_table_keeps_numbers_hidden_rows_and_an_inner_table_apart() -> None:
    def row(*cells: str, marks: str = "") -> str:
        inner = "".join(f"<w:tc>{cell}</w:tc>" for cell in cells)
        return f"<w:tr><w:trPr>{marks}</w:trPr>{inner}</w:tr>"

    table = (
        "<w:tbl>" + row(_p("Peril", '<w:outlineLvl w:val="1"/>'), _p("Limit"))
        + row(_in_list("Fire", 2), _p("500")) + row(_p("x"), _p("y"), marks="<w:hidden/>")
        + row(_p("gone"), _p("z"), marks="<w:del/>") + "</w:tbl>"
    )  # fmt: skip
    parsed = _word(table, numbering=_LISTS)
    assert parsed.text == "| Peril | Limit |\n| --- | --- |\n| (a) Fire | 500 |"
    inner = "<w:tbl>" + row(_p("a"), _p("b")) + row(_p("1"), _p("2")) + "</w:tbl>"
    nested = "<w:tbl>" + row(_p("Label"), inner) + row(_p("Other"), _p("text")) + "</w:tbl>"
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |" in _word(nested).text


def test_the_tabs_of_a_header_part_its_words() -> None:
    head = "<w:p><w:r><w:t>Claim</w:t><w:tab/><w:t>12345</w:t></w:r></w:p>" + _p("7")
    assert _word(_p("Body."), header=head).text == "Body.\n\nClaim 12345"


def test_a_document_of_hidden_text_says_so() -> None:
    hidden = _p("secret", "", "<w:vanish/>")
    assert _word(_p("Seen.") + hidden).notes == ("1 pieces of hidden text are left out",)
    with pytest.raises(ParseError) as caught:
        _word(hidden)
    assert (caught.value.code, "hidden" in caught.value.message) == ("empty", True)
