"""Validation: each code for a bad text, and no code for an unusual but real text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.core.text_validation import measure_text, most_characters, validate
from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument, Provenance

_PRODUCED_BY = Provenance(service="s", mode="local", model="m", version="1")


def _parsed(text: str, pages: tuple[int, ...] = (), **facts: int) -> ParsedDocument:
    return ParsedDocument(
        text, "text/plain", False, produced_by=_PRODUCED_BY, page_starts=pages, facts=facts
    )


def _code(parsed: ParsedDocument, size: int | None = None) -> str | None:
    try:
        validate(parsed, len(parsed.text.encode()) if size is None else size)
    except ParseError as error:
        assert error.remedy
        return error.code
    return None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \n\t \n", "empty"),
        ("a\x00b", "nul_in_text"),
        ("\ufffd" * 50 + "abc", "garbled"),
    ],
)
def test_refused(text: str, code: str) -> None:
    assert _code(_parsed(text)) == code


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "One \ufffd in a sentence of its own.",
        "A 404 Not Found answer means that the page is gone.",
        "Cover is limited to 404 Not Found Street.",
        "Error handling is the subject of this chapter.",
        "404 Not Found\n\n" + "How servers answer, and why it matters to the reader. " * 6,
        "Traceback (most recent call last):\n" + "\n".join(f"line {i} of a log" for i in range(99)),
        "\n".join(
            f"2026-01-{day:02} 00:00:00 INFO worker started and is ready" for day in range(31)
        ),
        "| name | amount |\n| --- | --- |\n" + "| a policy with a long name | 100.00 EUR |\n" * 90,
        "-" * 80 + "\n" + ("-" * 80 + "\n") * 100,
        "yes\n" * 2_000,
    ],
)
def test_unusual_but_real_text_is_accepted(text: str) -> None:
    assert _code(_parsed(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):\n  File x\nKeyError: 1",
        "404 Not Found",
        "# 502 Bad Gateway\n\nnginx",
        "Cannot open the front door of the insured house since the flood of 3 March.",
        "Failed to load the truck by noon; the goods were damaged by rain.",
        "The same long sentence is said again and again, always.\n" * 60,
        "The same long sentence is said again and again, always. " * 60,
        "Question?\n\nNo, this is not covered under the basic policy, ask for the rider.\n\n" * 60,
    ],
)
def test_a_suspicion_is_a_note_and_a_warning(text: str) -> None:
    checked = validate(_parsed(text), len(text))
    assert checked.text == text
    assert checked.facts["warnings"] == len(checked.notes) == 1
    assert text[:20] not in checked.notes[0]


def test_an_error_message_is_no_answer_of_a_service() -> None:
    paid = replace(_PRODUCED_BY, mode="real")
    assert _code(replace(_parsed("404 Not Found"), produced_by=paid)) == "error_as_content"
    assert _code(replace(_parsed("A policy."), produced_by=paid)) is None


def test_a_text_that_is_longer_than_its_file_is_noted() -> None:
    text = " ".join(f"word{number}" for number in range(100_000))
    assert validate(_parsed(text), 1_000).facts["warnings"] == 1
    # A sheet of a workbook is a page, and may be long.
    assert validate(_parsed(text, (0,), sheets=1), len(text)) == _parsed(text, (0,), sheets=1)


def test_pages_without_text_are_noted_and_a_scan_without_text_is_refused() -> None:
    # Four pages; only the first, or the first three, contain a letter.
    one = validate(_parsed("a\n\n\n\n\n\n", (0, 3, 5, 6)), 6)
    assert (one.notes, one.facts["warnings"]) == (("3 of 4 pages have no text",), 1)
    three = validate(_parsed("a\n\nb\n\nc\n\n", (0, 3, 6, 9)), 9)
    assert (three.notes, three.facts) == (("1 of 4 pages have no text",), {})
    assert _code(_parsed("", (0,))) == "pages_without_text"
    assert _code(_parsed("", (0, 0, 0))) == "pages_without_text"
    assert _code(_parsed("stamp", (0,), pages_scanned=1)) == "pages_without_text"
    # Sheets of a workbook may be empty.
    sheets = _parsed("a\n\n\n\n\n\n", (0, 3, 5, 6), sheets=4)
    assert validate(sheets, 6) == sheets


@given(st.text(), st.integers(0, 10_000))
def test_measurements_never_fail_and_shares_are_between_0_and_1(text: str, size: int) -> None:
    found = measure_text(_parsed(text), size)
    assert 0 <= found["replacement_share"] <= 1
    assert 0 <= found["repeated_share"] <= 1
    assert found["characters"] == len(text)


def test_a_text_that_is_much_longer_than_any_of_its_file_size_is_refused() -> None:
    text = "The insured pays. " * 100_000
    assert _code(_parsed(text), size=60) == "expands_too_far"
    # A workbook of so many equal cells has a hundred characters for each byte.
    assert _code(_parsed(text), size=len(text) // 100) is None


def test_the_bound_of_a_text_grows_with_its_file_and_ends_below_what_can_be_stored() -> None:
    bounds = [most_characters(size) for size in (0, 60, 5_000, 1 << 20, 100 << 20, 1 << 40)]
    assert bounds == sorted(bounds)
    assert bounds[1] < 1_200_000
    # The largest file by default is 100 MiB, and the text of JSON is twice as long.
    assert bounds[4] > 2 * (100 << 20)
    assert 4 * bounds[-1] < 1_000_000_000
