"""Markup languages and data formats: structure is preserved, nothing is run, no file is read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError
from tvdb_assets.parsing.active_limits import limits_applied
from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets.parsing.formats import csv_tsv


def _text(source: str, path: str) -> str:
    parsed = parse_document(source.encode(), path)
    for heading in parsed.headings:
        assert parsed.text[heading.offset :].startswith("#" * heading.level + " ")
    return parsed.text


def _error(source: bytes, path: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_document(source, path)
    assert caught.value.remedy
    return caught.value


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A file whose content must not appear in any parsed text."""
    path = tmp_path / "secret.txt"
    path.write_text("do-not-leak")
    return str(path)


_TABLE = "| A | B |\n| --- | --- |\n| 1 | 2 |"


def test_rst(secret: str) -> None:
    source = f"""Title
=====

See :ref:`the label <x>` and :func:`~a.b.run`, and `a link <http://x>`_.

.. include:: {secret}
.. raw:: html
   :file: {secret}

.. versionadded:: 3.4
   Unknown directives keep their content.

Section
-------

.. py:function:: run(a)
   :noindex:

   * one
   * two

=====  =====
 A      B
=====  =====
 1      2
=====  =====

.. code-block:: python

   print(1)
"""
    text = _text(source, "a.rst")
    assert text == (
        "# Title\n\nSee the label and a.b.run, and a link.\n\n3.4\n\n"
        "Unknown directives keep their content.\n\n## Section\n\nrun(a)\n\n- one\n- two\n\n"
        f"{_TABLE}\n\n```\nprint(1)\n```"
    )


def test_asciidoc(secret: str) -> None:
    source = f"""= Title
:product: Widget

Uses {{product}}, *bold* and _it_; see https://x.org[the site] and <<s,Section>>.
include::{secret}[]

// a comment
== Section

.Caption
* one
** two
. first

[cols="1,1"]
|===
|A |B

|1
|2
|===

----
code  *kept*
----

CPU:: The brain.
"""
    assert _text(source, "a.adoc") == (
        "# Title\n\nUses Widget, bold and it; see the site and Section.\n\n## Section\n\n"
        f"Caption\n\n- one\n  - two\n1. first\n\n{_TABLE}\n\n"
        "```\ncode  *kept*\n```\n\n- CPU: The brain."
    )
    laughs = ":a: ha\n" + ":b: {a}{a}\n:c: {b}{b}\n" + "{c}" * 10
    assert len(_text(laughs, "a.adoc")) < 100


def test_mediawiki() -> None:
    source = """'''Bold''' is [[Page|a link]].<ref>{{cite web|title=Source|url=http://x}}</ref>
{{Infobox
| name = Rome
| country = Italy
| pop = 2.8
}}
== Section ==
* one
** two
# first
[[File:x.png|thumb|gone]]
{| class="wikitable"
! A !! B
|-
| 1 || 2
|}
<pre>kept  as is</pre>
"""
    assert _text(source, "a.mediawiki") == (
        "Bold is a link. [Source]\n\n- name: Rome\n- country: Italy\n- pop: 2.8\n\n## Section\n\n"
        f"- one\n  - two\n1. first\n\n{_TABLE}\n\n```\nkept  as is\n```"
    )


def test_textile() -> None:
    source = "h1. Title\n\nA *word*.\n\n* one\n* two\n\n|_. A|_. B|\n|1|2|\n"
    assert _text(source, "a.textile") == f"# Title\n\nA word.\n\n- one\n- two\n\n{_TABLE}"


def test_org(secret: str) -> None:
    source = f"""#+TITLE: Title
#+INCLUDE: "{secret}"
* TODO Section :tag:
DEADLINE: <2024-01-01 Mon>
:PROPERTIES:
:ID: 1
:END:
Some *bold* and [[http://x][a link]].
- one
  - two
| A | B |
|---+---|
| 1 | 2 |
#+BEGIN_SRC sh
echo *kept*
#+END_SRC
"""
    assert _text(source, "a.org") == (
        "# Title\n\n# TODO Section\n\nSome bold and a link.\n- one\n  - two\n\n"
        f"{_TABLE}\n\n```\necho *kept*\n```"
    )


def test_latex(secret: str) -> None:
    source = rf"""\documentclass{{article}}\title{{A {{\em fine}} title}}
\begin{{document}}\maketitle
\section{{Section}}
Caf\'e \textbf{{costs}} $a^2$\footnote{{a note}}. \input{{{secret}}}\verbatiminput{{{secret}}}
\begin{{itemize}}\item one
\item two
\end{{itemize}}
\begin{{tabular}}{{|l|c|}}\hline A & B \\ \hline 1 & 2 \\ \end{{tabular}}
\begin{{verbatim}}
x & y
\end{{verbatim}}
\end{{document}} after"""
    assert _text(source, "a.tex") == (
        "# A fine title\n\n## Section\n\nCafé costs $a^2$ [a note].\n- one\n- two\n\n"
        f"{_TABLE}\n\n```\nx & y\n```"
    )


_JATS = """<?xml version="1.0"?><!DOCTYPE article PUBLIC "-//NLM//DTD JATS//EN" "jats.dtd">
<article><front><article-meta><title-group><article-title>On <i>things</i></article-title>
</title-group><abstract><p>In short.</p></abstract></article-meta></front><body>
<sec><title>Results</title><p>Text &amp; more<xref>1</xref>.</p><sec><title>Deeper</title>
<list list-type="order"><list-item><p>one</p></list-item></list>
<table-wrap><caption><p>Shown</p></caption><table><thead><tr><th>A</th><th>B</th></tr></thead>
<tbody><tr><td>1</td><td>2</td></tr></tbody></table></table-wrap></sec></sec></body></article>"""


def test_jats_and_docbook() -> None:
    parsed = parse_document(_JATS.encode(), "a.xml")
    assert parsed.title == "On things"
    assert parsed.text == (
        "# On things\n\nIn short.\n\n## Results\n\nText & more1.\n\n### Deeper\n\n1. one\n\n"
        f"Shown\n\n{_TABLE}"
    )
    book = (
        "<book xmlns='http://docbook.org/ns/docbook'><title>T</title><chapter><title>C</title>"
        "<para>p</para><itemizedlist><listitem><para>i</para></listitem></itemizedlist>"
        "<programlisting>a\n  b</programlisting></chapter></book>"
    )
    assert _text(book, "a.dbk") == "# T\n\n## C\n\np\n\n- i\n\n```\na\n  b\n```"


def test_other_xml_is_an_outline_and_entities_are_not_expanded(secret: str) -> None:
    source = (
        f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">'
        '<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
        "<order><id>7</id><item><name>Roof &x;&b;&eacute;</name><note/>tail</item></order>"
    )
    assert _text(source, "a.xml") == "order:\n  id: 7\n  item:\n    name: Roof é\n    tail"
    encoded = '<?xml version="1.0" encoding="windows-1251"?><a>Полис</a>'.encode("cp1251")
    parsed = parse_document(encoded, "a.xml")
    assert (parsed.text, parsed.encoding) == ("a: Полис", "cp1251")
    assert "still" in parse_document(b"<?xml version='1.0'?><a><b>still</b>", "a.xml").text
    assert _error(b"<?xml version='1.0'?><a><b/></a>", "a.xml").code == "empty"
    error = _error(b"<?xml version='1.0'?>" + b"<a>" * 1_000 + b"deep" + b"</a>" * 1_000, "a.xml")
    assert (error.code, "too deeply" in error.message) == ("corrupt", True)


def test_notebook() -> None:
    frame = "<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>"
    outputs = [
        {"output_type": "stream", "text": ["shown\n"]},
        {"output_type": "execute_result", "data": {"text/html": [frame], "text/plain": "x"}},
        {"output_type": "display_data", "data": {"image/png": "AAAA"}},
        {"output_type": "error", "ename": "KeyError", "evalue": "k", "traceback": ["\x1b[31m"]},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {"cell_type": "code", "source": "print('``` inside')", "outputs": outputs},
    ]
    text = _text(json.dumps({"cells": cells, "nbformat": 4}), "a.ipynb")
    assert text == (
        "# Title\ntext\n\n````\nprint('``` inside')\n````\n\n```\nshown\n```\n\n"
        f"{_TABLE}\n\n```\nKeyError: k\n```"
    )
    assert _error(b"[1]", "a.ipynb").code == "corrupt"
    assert _error(b'{"cells": 5}', "a.ipynb").code == "empty"


def test_json_outline_and_tables() -> None:
    data = {"name": "caf\u00e9", "big": 1, "list": [True, None, "x\ny"], "rows": [
        {"A": 1, "B": 2}, {"A": "3 | 4", "B": None}]}  # fmt: skip
    source = json.dumps(data).replace('"big": 1', '"big": 123456789012345678901234567890.10')
    assert _text(source, "a.json") == (
        "name: café\nbig: 123456789012345678901234567890.10\nlist:\n  - true\n  -\n  - x\n      y\n"
        "rows:\n\n| A | B |\n| --- | --- |\n| 1 | 2 |\n| 3 \\| 4 |  |"
    )
    deep = parse_document(b"[" * 100_000 + b"]" * 100_000, "deep.json")
    assert deep.notes == ("it is not valid JSON; kept as text",)


def test_json_of_many_values_and_yaml() -> None:
    assert _text('{"a": 1}\n{"a": 2}\n', "mislabelled.json") == "a: 1\na: 2"
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"
    assert _text(bomb, "a.yaml") == bomb


def test_csv_delimiters_quotes_and_encodings() -> None:
    assert _text('A;B\n"1";2\n', "a.csv") == _TABLE
    assert _text("A\tB\n1\t2\n", "a.tsv") == _TABLE
    assert _text('A,B\n"x\ny","a ""b"" | c"\n', "a.csv").endswith('| x y | a "b" \\| c |')
    assert _text('A,B\n1,"never closed\n2,3\n', "a.csv").endswith("| 2 | 3 |")
    assert _text("one\ntwo\n", "a.csv") == "one\ntwo"
    parsed = parse_document("Größe;Übermaß\nfünf;zwölf\n".encode("cp1252"), "a.csv")
    assert parsed.text.startswith("| Größe | Übermaß |")
    assert _error(b",,,\n,,\n", "a.csv").code == "empty"
    assert "10,000,000" in _error(b"a" * 10_000_001 + b",b", "a.csv").message


def test_csv_limit() -> None:
    with limits_applied(DocumentLimits(max_cells=5)):
        error = _error(b"a,b\n1,2\n3,4\n", "a.csv")
    assert (error.code, "5 filled cells" in error.message) == ("over_limit", True)
    assert csv_tsv.find_delimiter("a|b\nc|d", ",") == "|"


def test_subtitles() -> None:
    vtt = (
        "WEBVTT\n\nNOTE not shown\n\nid\n00:01.000 --> 00:02.000 align:start\n<v Ann>Hello &amp; "
        "<i>hi</i>\n\n00:02.000 --> 00:03.000\nrolling\n\n00:03.000 --> 00:04.000\nrolling\non\n"
    )
    assert _text(vtt, "a.vtt") == "[00:01] Ann: Hello & hi\n[00:02] rolling\n[00:03] on"
    srt = "1\n00:00:01,000 --> 00:00:02,000\nÜber\n2\n00:00:02,000 --> 00:00:03,000\n{\\an8}uns\n"
    parsed = parse_document(srt.encode("cp1252"), "a.srt")
    assert parsed.text == "[00:00:01] Über\n[00:00:02] uns"
    assert _error(b"WEBVTT\n\nNOTE nothing\n", "a.vtt").code == "empty"


def test_if_its_library_fails_the_source_is_the_text() -> None:
    parsed = parse_document(b'"a link":http://[1] and text', "a.textile")
    assert parsed.text == '"a link":http://[1] and text'
    assert parsed.notes == (
        "textile could not read its Textile; the source is kept as it is written",
    )
    deep = parse_document(b"{" * 20_000 + b"deep", "a.tex")
    assert deep.text.endswith("deep")


def test_rst_reads_no_file_of_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = 'xmlns="http://www.w3.org/2000/svg"'
    svg = f"<svg {namespace}><title>do-not-leak</title><text>do-not-leak</text></svg>"
    for name in ("a.svg", "a.png"):
        (tmp_path / name).write_text(svg)
    read: list[str] = []
    for reader in ("read_text", "read_bytes"):
        real = getattr(Path, reader)

        def noting(path: Path, *args: object, real: Any = real, **options: object) -> object:
            read.append(path.name)
            return real(path, *args, **options)

        monkeypatch.setattr(Path, reader, noting)
    options = "   :loading: embed\n   :scale: 50\n\n"
    source = "T\n=\n\nText with |inline|.\n\n"
    for place in (f"{tmp_path}/", f"file://{tmp_path}/"):
        for name in ("a.svg", "a.png"):
            source += f".. image:: {place}{name}\n{options}"
            source += f".. figure:: {place}{name}\n   :figwidth: image\n{options}   Caption\n\n"
    source += f".. |inline| image:: {tmp_path}/a.svg\n{options}"
    text = _text(source, "a.rst")
    assert "Caption" in text
    assert "do-not-leak" not in text
    assert not {"a.svg", "a.png"} & set(read)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("suffix", ["adoc", "org", "tex", "mediawiki", "csv", "vtt", "rst", "json"])
@pytest.mark.parametrize("piece", ["[", "*a", "{", "|", "\\begin{tabular}", "[[", "`", '"', "=="])
def test_repeated_marks_take_little_time(suffix: str, piece: str) -> None:
    try:
        parse_document((piece * 3_000).encode(), f"a.{suffix}")
    except ParseError as error:
        assert error.remedy


@pytest.mark.parametrize(
    ("name", "start", "part"),
    [
        ("a.textile", "h1. T\n\n", "*a "),
        ("a.rst", "T\n=\n\n", "`a "),
        ("a.mediawiki", "== T ==\n", "{{a|[[b|<b>"),
    ],
)
def test_a_line_of_markup_that_takes_too_long_is_kept_as_it_is_written(
    name: str, start: str, part: str
) -> None:
    source = start + part * (100_000 // len(part))
    started = time.process_time()
    parsed = parse_document(source.encode(), name)
    assert time.process_time() - started < 5
    assert part.strip() in parsed.text
    assert "the source is kept as it is written" in parsed.notes[-1]
    # A shorter line is read as before.
    assert "the source" not in "".join(parse_document((start + "words").encode(), name).notes)
