"""The time of a parser grows with the size of a document, whatever the document repeats.

What belongs here: text that made parsers of any project take quadratic time or longer, at two small
sizes. What does not: documents that expand (`test_confinement`).
"""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.errors import ParseError
from tvdb_assets.parsing import document_parser
from tvdb_assets.parsing.cpu_deadline import DeadlineExceeded, cpu_deadline
from tvdb_assets.parsing.parse_tasks import PreparedDocument, prepare_document
from tvdb_assets.redaction import redact

_SMALL, _LARGE = 4_000, 16_000
_NOISE_SECONDS = 0.25
"""Less than this is not measured: tables of a library are built at its first use."""
_MARKUP_SECONDS = 0.4
"""The limit for markup here; it is tenfold in production, and more for a large file."""

# Suffix, what comes first, and what is repeated.
_REPEATED = {
    "adoc marks": ("adoc", "= T\n\n", "*a "),
    "adoc macros": ("adoc", "= T\n\n", "footnote:a["),
    "adoc links": ("adoc", "= T\n\n", "http://a["),
    "adoc cells": ("adoc", "= T\n\n|===\n", "| a "),
    "adoc lists": ("adoc", "= T\n\n", "a:: "),
    "adoc references": ("adoc", "= T\n\n", "<<a"),
    "org marks": ("org", "* T\n\n", "*a "),
    "org links": ("org", "* T\n\n", "[[a"),
    "tex titles": ("tex", "\\begin{document}words ", "\\title{{"),
    "tex tables": ("tex", "\\begin{document}words ", "\\begin{tabular}"),
    "tex braces": ("tex", "\\begin{document}words ", "{"),
    "tex cells": ("tex", "\\begin{document}words \\begin{tabular}{c}", "& "),
    "wiki templates": ("wiki", "== T ==\n", "{{a "),
    "wiki links": ("wiki", "== T ==\n", "[[a "),
    "wiki tables": ("wiki", "== T ==\n", "{|\n|-\n|"),
    "wiki quotes": ("wiki", "== T ==\n", "''''' "),
    "wiki notes": ("wiki", "== T ==\n", "<ref>"),
    "wiki mixed": ("wiki", "== T ==\n", "{{a|[[b|<b>"),
    "wiki mixed lines": ("wiki", "== T ==\n", "{{a|[[b|<b>\n"),
    "textile marks": ("textile", "h1. T\n\n", "*a "),
    "textile mark lines": ("textile", "h1. T\n\n", "*a _b\n"),
    "textile links": ("textile", "h1. T\n\n", '"a":'),
    "textile cells": ("textile", "h1. T\n\n", "|a"),
    "textile code": ("textile", "h1. T\n\n", "@a "),
    "rst marks": ("rst", "T\n=\n\n", "*a "),
    "rst roles": ("rst", "T\n=\n\n", "`a "),
    "rst role lines": ("rst", "T\n=\n\n", "`a *b\n"),
    "rst substitutions": ("rst", "T\n=\n\n", "|a "),
    "rst directives": ("rst", "T\n=\n\n", ".. a::\n"),
    "rst notes": ("rst", "T\n=\n\n", "[#]_ "),
    "md links": ("md", "# T\n\n", "[a]("),
    "md brackets": ("md", "# T\n\n", "["),
    "md marks": ("md", "# T\n\n", "*a _b "),
    "md code": ("md", "# T\n\n", "`a ``"),
    "md quotes": ("md", "# T\n\nwords\n\n", "> "),
    "md tables": ("md", "# T\n\n", "|a|\n|-|\n"),
    "html blocks": ("html", "<html><body>words", "<div>"),
    "html tables": ("html", "<html><body>words", "<table><tr><td>"),
    "html attributes": ("html", "<html><body>words<a ", 'a="'),
    "html comments": ("html", "<html><body>words", "<!--"),
    "html marks": ("html", "<html><body>words", "<b>x"),
    "html options": ("html", "<html><body>words", "<select><option>"),
    "html entities": ("html", "<html><body>words", "&amp"),
    "html headings": ("html", "<html><body>words", "<h1>x"),
    "rtf groups": ("rtf", "{\\rtf1 words ", "{a"),
    "rtf characters": ("rtf", "{\\rtf1 words ", "\\u-1 "),
    "rtf rows": ("rtf", "{\\rtf1 words ", "\\trowd\\cell "),
    "srt": ("srt", "", "1\n00:00:00,000 --> 00:00:01,000\n<i>a\n\n"),
    "vtt": ("vtt", "WEBVTT\n\n", "00:00.000 --> 00:01.000\n<c.\n\n"),
    "json": ("json", "", '{"a":'),
    "json arrays": ("json", "", "[[1],"),
    "yaml": ("yaml", "a: ", "[&a "),
    "csv quotes": ("csv", "a,b\n", '"a,'),
    "csv lines": ("csv", "a,b\n", '"a\n'),
    "csv delimiters": ("csv", "a,b\n", ",;|\t"),
    "mail subject": ("eml", "From: a@b\nTo: c@d\nSubject: ", "=?utf-8?q?"),
    "mail boundary": ("eml", "From: a@b\nTo: c@d\nContent-Type: multipart/mixed; boundary=", "a;"),
    "mail folded": ("eml", "From: a@b\nTo: c@d\nReceived: (", "(a\n "),
    "mail addresses": ("eml", "From: a@b\nTo: ", "<a@b>, ("),
    "one character": ("txt", "words ", "a"),
    "spaces": ("txt", "words ", " "),
    "dots": ("txt", "words ", ". "),
    "joiners": ("txt", "words ", "\u200d"),
    "accents": ("txt", "words ", "\u0301"),
    "addresses": ("txt", "words ", "a@"),
    "xml elements": ("xml", "<a>words", "<b>"),
    "xml entities": ("xml", "<a>words", "&lt;"),
    "notebook": ("ipynb", '{"cells": [{"cell_type": "markdown", "source": "', "[a]("),
}


def _seconds(suffix: str, text: str) -> float:
    """Processor seconds of this thread to parse and chunk, or to refuse."""
    started = time.thread_time()
    with suppress(ParseError):
        prepare_document(text.encode(), f"a.{suffix}", "local", Chunker(512, 64))
    return time.thread_time() - started


# The limit may interrupt a destructor, which ignores exceptions; then it interrupts again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", _REPEATED)
def test_time_grows_with_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_parser, "_SECONDS", _MARKUP_SECONDS)
    monkeypatch.setattr(document_parser, "_SECONDS_PER_MB", 0.0)
    suffix, start, unit = _REPEATED[name]
    small_text, large_text = (start + unit * (size // len(unit)) for size in (_SMALL, _LARGE))
    large = _seconds(suffix, large_text)
    if large > _NOISE_SECONDS + _MARKUP_SECONDS:
        # Collections of garbage and other processes make some measurements longer, none shorter.
        large = min(large, *(_seconds(suffix, large_text) for _ in range(2)))
        small = min(_seconds(suffix, small_text) for _ in range(3))
        assert large < 7 * max(small, _NOISE_SECONDS / 4), f"{small:.2f} s, {large:.2f} s"


@pytest.mark.parametrize(("suffix", "start"), [("rst", "T\n=\n\n"), ("textile", "h1. T\n\n")])
def test_markup_that_takes_too_long_is_kept_as_it_is_written(
    suffix: str, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_parser, "_SECONDS", 0.2)
    text = start + ("`a *b _c " * 400 + "\n") * 5
    made = prepare_document(text.encode(), f"a.{suffix}", "local", None)
    assert isinstance(made, PreparedDocument)
    assert "`a *b _c" in made.parsed.text
    assert any("kept as it is written" in note for note in made.parsed.notes)


def test_a_library_that_swallows_the_deadline_is_interrupted_again() -> None:
    with pytest.raises(DeadlineExceeded), cpu_deadline(0.05):
        with suppress(DeadlineExceeded):
            while True:
                sum(range(1_000))
        while True:
            sum(range(1_000))


def test_entities_of_a_page_of_its_own_take_no_time() -> None:
    nested = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 30))
    page = (
        f'<!DOCTYPE html [<!ENTITY l0 "lol">{nested}]>'
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>words &l29;</p></body></html>'
    )
    for suffix in ("xhtml", "html", "xml"):
        assert _seconds(suffix, page) < 1.0 + _NOISE_SECONDS


@pytest.mark.parametrize(
    "unit",
    [
        *("a://", "://:", "a://b:", "password ", "password=", "bearer ", "authorization:"),
        *("?key=", "sk-", "AKIA", "authorization ", "cookie: b'", "xoxb-", " ", "://a:a", "?"),
    ],
)
def test_redaction_takes_linear_time(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 0.5
