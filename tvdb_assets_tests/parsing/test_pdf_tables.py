"""Tables of PDF pages, ruled and open, and text that is no table."""

from __future__ import annotations

import pytest

from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets_tests.parsing.drawn_pages import Rule, draw_pdf, page_content, table_texts

_SENTENCE = "The insurer pays for loss or damage that is caused by fire or lightning."


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _parse(content: bytes) -> str:
    return parse_document(draw_pdf(content), "a.pdf").text


def _lattice(xs: list[float], ys: list[float]) -> list[Rule]:
    return [(x, ys[0], x, ys[-1]) for x in xs] + [(xs[0], y, xs[-1], y) for y in ys]


@pytest.mark.parametrize(
    "rows",
    [
        [
            ["Coverage", "Limit", "Premium"],
            ["Dwelling", "300,000", "812.40"],
            ["Other structures", "30,000", ""],
            ["Personal property", "150,000", "120.10"],
        ],
        [
            ["Peril", "2023", "2024"],
            ["Hail", "", "41"],
            ["Flood", "12", "17"],
            ["Storm", "9", "3"],
        ],
        [
            ["Item", "Share", "EUR"],
            ["Roof", "40 %", "4.100,00"],
            ["Cellar", "", "250,00"],
            ["Garage", "15 %", ""],
            ["Fence", "5 %", "90,00"],
        ],
    ],
)
def test_an_empty_cell_of_an_open_table_keeps_its_rows_apart(rows: list[list[str]]) -> None:
    assert _rows(_parse(page_content(table_texts(rows, [60, 250, 400], 700)))) == rows


def test_a_cell_of_two_lines_stays_one_cell_of_a_ruled_table() -> None:
    texts = [
        (64, 704, "Company"), (204, 704, "Result"),
        (64, 684, "Number of"), (64, 672, "claims"), (204, 684, "21"),
        (64, 652, "Paid"), (204, 652, "8"),
    ]  # fmt: skip
    content = page_content(texts, _lattice([60, 200, 300], [720, 698, 666, 640]))
    assert _rows(_parse(content)) == [
        ["Company", "Result"],
        ["Number of claims", "21"],
        ["Paid", "8"],
    ]


def test_a_header_above_several_columns_stands_in_each() -> None:
    texts = [
        (64, 704, "Country"), (230, 704, "Claims in all years"),
        (204, 684, "2023"), (264, 684, "2024"),
        (64, 664, "Austria"), (204, 664, "12"), (264, 664, "15"),
    ]  # fmt: skip
    rules = [
        *_lattice([60, 200, 340], [720, 698, 678, 658]),
        (260, 698, 260, 658),
    ]
    assert _rows(_parse(page_content(texts, rules))) == [
        ["Country", "Claims in all years", "Claims in all years"],
        ["", "2023", "2024"],
        ["Austria", "12", "15"],
    ]


def test_rulings_between_rows_alone_are_enough() -> None:
    rows = [["", "1995", "2000"], ["Women", "66.1", "70.2"], ["Men", "", "74.8"]]
    rules = [(60.0, y, 400.0, y) for y in (714.0, 692.0, 676.0, 655.0)]
    text = _parse(page_content(table_texts(rows, [64, 250, 350], 700), rules))
    assert _rows(text) == rows


def test_tables_of_one_page_stay_apart() -> None:
    first = [["Peril", "2023", "2024"], ["Hail", "12", "41"], ["Flood", "8", "17"]]
    second = [["Region", "Paid", "Open"], ["North", "3", "5"], ["South", "7", "6"]]
    texts = table_texts(first, [60, 250, 400], 700)
    texts.append((60, 600, _SENTENCE))
    texts += table_texts(second, [60, 250, 400], 570)
    text = _parse(page_content(texts))
    assert _rows(text) == first + second
    assert text.index("Flood") < text.index(_SENTENCE) < text.index("Region")


@pytest.mark.parametrize(
    "rules",
    [
        _lattice([50, 545], [760, 640]),
        _lattice([50, 545], [760, 745, 730, 640]),
        [],
    ],
)
def test_sentences_are_text_and_no_table(rules: list[Rule]) -> None:
    texts = [(60.0, 740.0 - 14 * line, _SENTENCE) for line in range(6)]
    text = _parse(page_content(texts, rules))
    assert not _rows(text)
    assert text.count("insurer") == 6


def test_two_columns_of_text_are_read_one_after_the_other() -> None:
    left = [
        "The policyholder reports",
        "each loss at once and",
        "in writing to the",
        "insurer, with all of the",
    ]
    right = [
        "The insurer answers within",
        "two weeks and says",
        "whether it pays for",
        "the loss in full",
    ]
    texts = [(60.0, 740.0 - 13 * i, line) for i, line in enumerate(left * 4)]
    texts += [(310.0, 740.0 - 13 * i, line) for i, line in enumerate(right * 4)]
    text = _parse(page_content(texts))
    assert not _rows(text)
    assert " ".join(text.split()).index("with all of the") < text.index("The insurer answers")
