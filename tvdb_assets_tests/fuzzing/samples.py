"""Small valid files of each format that the fuzzer damages."""

from __future__ import annotations

import io
import json
import zipfile

from arro3.core import Array, DataType, Table
from arro3.io import write_parquet

from tvdb_assets_tests.parsing.sample_files import MAIL, PAGE, make_docx
from tvdb_assets_tests.parsing.sample_office_files import (
    RTF,
    make_doc,
    make_epub,
    make_msg,
    make_odf,
    make_ppt,
    make_pptx,
    make_xls,
    make_xlsx,
)

_TEXTS = {
    "a.md": "---\ntitle: T\n---\n# Head\n\n- one\n- two\n\n| A | B |\n|---|---|\n| 1 | 2 |\n",
    "a.rst": "Head\n====\n\n* one\n\n.. list-table::\n\n   * - A\n     - B\n\n"
    ".. code:: py\n\n  x\n",
    "a.adoc": "= Head\n:name: v\n\n{name}\n\n* one\n** two\n\n"
    "|===\n|A |B\n\n|1 |2\n|===\n\n----\nx\n----\n",
    "a.org": "* Head\n:PROPERTIES:\n:END:\n- one\n  - two\n"
    "| A | B |\n|---+---|\n| 1 | 2 |\n#+BEGIN_SRC\nx\n#+END_SRC\n",
    "a.tex": "\\documentclass{a}\\begin{document}\\section{Head} $x^2$ \\emph{b}\n"
    "\\begin{tabular}{ll}A & B \\\\ 1 & 2\\end{tabular}\\begin{itemize}\\item c\\end{itemize}"
    "\\end{document}",
    "a.mediawiki": "== Head ==\n* one\n{| class=x\n! A !! B\n|-\n| 1 || 2\n|}\n"
    "{{t|v=1}} [[L|text]]<ref>n</ref>\n",
    "a.textile": "h1. Head\n\n* one\n** two\n\n|_. A |_. B |\n| 1 | 2 |\n",
    "a.json": '{"rows": [{"A": 1, "B": 2}, {"A": 3, "B": 4}], "deep": {"list": [true, null, "x"]}}',
    "a.jsonl": '{"id": 1, "text": "x"}\n{"id": 2, "title": "t", "n": [1]}\n',
    "a.yaml": "a: 1\nb:\n  - x\n",
    "a.csv": 'A;B\n"1 ""x""";2\n3;4\n',
    "a.vtt": "WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\n<v Ann>Hello\n",
    "a.srt": "1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    "a.html": PAGE,
    "a.xml": "<?xml version='1.0'?><article><front><title>T</title>"
    "</front><body><sec><title>S</title>"
    "<p>Text <xref>1</xref></p><table><tr><th>A</th></tr><tr><td>1</td></tr></table></sec></body>"
    "</article>",
    "a.ipynb": json.dumps(
        {
            "nbformat": 4,
            "cells": [
                {"cell_type": "markdown", "source": ["# T\n", "x"]},
                {
                    "cell_type": "code",
                    "source": "x",
                    "outputs": [
                        {"output_type": "stream", "text": "s"},
                        {
                            "output_type": "execute_result",
                            "data": {"text/html": "<table><tr><td>1"},
                        },
                    ],
                },
            ],
        }
    ),
}
_ODT = "<text:h text:outline-level='1'>Head</text:h><text:p>Text</text:p>"


def samples() -> dict[str, bytes]:
    """The sample files by name."""
    columns = {
        "id": Array(["a", "b"], type=DataType.string()),
        "text": Array(["One.", None], type=DataType.string()),
    }
    parquet = io.BytesIO()
    write_parquet(Table.from_pydict(columns), parquet)
    box = b"From a@example.org Mon Sep  6 05:25:34 2010\n" + MAIL + b"\n\n"
    cells = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 9))
    return {
        **{name: text.encode() for name, text in _TEXTS.items()},
        "a.txt": "Größe und Maß. Zweiter Satz.\n".encode("cp1252"),
        "a.eml": MAIL,
        "a.mbox": box * 2,
        "a.rtf": RTF,
        "a.doc": make_doc(),
        "a.ppt": make_ppt(),
        "a.xls": make_xls(),
        "a.msg": make_msg(),
        "a.docx": make_docx(),
        "a.pptx": make_pptx(),
        "a.xlsx": make_xlsx(cells),
        "a.odt": make_odf("text", _ODT),
        "a.epub": make_epub("<h1>One</h1><p>x</p>", "<p>Two</p>"),
        "a.parquet": parquet.getvalue(),
        "a.zip": zipped({"a/b.md": b"# T\n", "c.eml": MAIL}),
    }


def unzipped(data: bytes) -> dict[str, bytes] | None:
    """The files of a ZIP archive, or None for other data."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except zipfile.BadZipFile:
        return None


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
