"""Invariants of chunks for any text, then the rules for each kind of text."""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.models import Chunk, Heading, ParsedDocument, Provenance

PRODUCED_BY = Provenance("test", "local", "test", "1")
SMALL = Chunker(max_tokens=32, overlap_tokens=8)


def parsed(
    text: str, *, is_markdown: bool = True, page_starts: tuple[int, ...] = ()
) -> ParsedDocument:
    headings = tuple(
        Heading(found.start(), len(found[1]), found[2])
        for found in re.finditer(r"^(#{1,6}) (.*)$", text, re.MULTILINE)
        if is_markdown
    )
    return ParsedDocument(
        text, "text/markdown", is_markdown, PRODUCED_BY, page_starts=page_starts, headings=headings
    )


def check(document: ParsedDocument, chunker: Chunker) -> list[Chunk]:
    """Chunk a document and check the invariants that hold for any text."""
    text = document.text
    chunks = chunker.chunk(document)
    covered = 0
    for number, chunk in enumerate(chunks):
        assert chunk.ordinal == number
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text.strip()
        embedded = chunk.repeated_header + chunk.text
        assert chunk.sha256 == sha256(embedded.encode()).digest()
        assert chunk.token_count == count_tokens(embedded) <= chunker.max_tokens
        if chunk.repeated_header:
            assert chunk.repeated_header == chunk.repeated_header.strip() + "\n"
            assert chunk.repeated_header.strip() in text[: chunk.start]
        if chunk.start > covered:
            assert not text[covered : chunk.start].strip()
        elif number:
            previous = chunks[number - 1]
            assert previous.start < chunk.start and previous.end < chunk.end
            assert count_tokens(text[chunk.start : previous.end]) <= chunker.overlap_tokens
        covered = chunk.end
    assert not text[covered:].strip()
    return chunks


PARTS = st.sampled_from(
    [
        *("# One\n", "## Two two\n", "### Three", "\n", "\n\n", " ", "\t", "  \n", "\r", "\u2028"),
        *("Title\n=====\n", "---\n", "```\n", "~~~\n", "    code\n", "- item\n", "> quote\n"),
        *("| a | b |\n", "| --- | --- |\n", "|x|\n", "A word. ", "Another one! ", "no end"),
        *("});\n", "\x1c", "\x85", "\u3000", "%%^\n\n", "don't", "12345", "...\n", "\u00a0x"),
        *("保险合同。", "👩‍👩‍👧‍👦", "e\u0301", "a" * 70, "lorem ipsum dolor " * 9, " " * 140),
    ]
)
TEXTS = st.lists(PARTS | st.text(max_size=20), max_size=60).map("".join)


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.booleans(), st.sampled_from([(16, 0), (16, 8), (32, 8), (128, 64)]))
@example("\x81" * 4 + "\U00010000" * 8 + "\n ", False, (16, 0))  # white space only at the end
@example("A word. " * 20 + "\n\n ", True, (16, 8))
@example("0:\x810:0000\x81Å%%^\n\n\u2028", False, (16, 0))  # the same after a full chunk
def test_chunks_cover_the_text_within_their_limits(
    text: str, is_markdown: bool, limits: tuple[int, int]
) -> None:
    document = parsed(text, is_markdown=is_markdown)
    chunks = check(document, Chunker(*limits))
    assert chunks == Chunker(*limits).chunk(document)
    assert bool(chunks) == bool(text.strip())


SECTIONS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["\n", "\n\n"]), st.integers(1, 60)), max_size=20
)


@settings(max_examples=150, deadline=None)
@given(SECTIONS)
def test_a_heading_never_ends_a_chunk(sections: list[tuple[int, str, int]]) -> None:
    text = "".join(
        f"{'#' * level} Part {number}{gap}{'It goes on. ' * words}\n\n"
        for number, (level, gap, words) in enumerate(sections)
    )
    for chunk in check(parsed(text), SMALL):
        assert not chunk.text.splitlines()[-1].startswith("#")


def test_adjacent_headings_stay_with_the_text_below_them() -> None:
    text = f"{'Words before. ' * 8}\n\n# Top\n\n## Middle\n\n### Low\n\n{'After. ' * 12}"
    chunks = check(parsed(text), SMALL)
    (opening,) = [chunk for chunk in chunks if "# Top" in chunk.text]
    assert opening.text.startswith("# Top\n\n## Middle\n\n### Low\n\nAfter.")
    assert opening.heading_path == ("Top", "Middle", "Low")


def test_a_heading_stays_with_a_line_longer_than_a_chunk() -> None:
    chunks = check(parsed("# Title\n\n" + "word " * 200), SMALL)
    assert chunks[0].text.startswith("# Title\n\nword word")
    assert chunks[0].token_count > SMALL.max_tokens // 2


def test_an_underlined_heading_stays_with_its_text() -> None:
    body = "Words before. " * 9
    text = f"{body}\n\nTitle\n=====\n\n{body}"
    at = text.index("Title")
    document = ParsedDocument(
        text, "text/markdown", True, PRODUCED_BY, headings=(Heading(at, 1, "Title"),)
    )
    chunks = check(document, SMALL)
    assert [chunk.start for chunk in chunks if "Title" in chunk.text] == [at]


def test_a_text_of_headings_only_gives_chunks_of_headings() -> None:
    text = "".join(f"## Part {number}\n\n" for number in range(50))
    assert len(check(parsed(text), SMALL)) > 5


def test_the_heading_path_ignores_the_overlap() -> None:
    text = f"# A\n\n## B\n\n{'One two three. ' * 12}\n\n## C\n\nEnd.\n\n# D\n\nMore."
    paths = [chunk.heading_path for chunk in check(parsed(text), SMALL)]
    assert paths[0] == ("A", "B")
    assert paths[1] == ("A", "B")
    (both,) = check(parsed("# A\n\n## C\n\nEnd.\n\n# D\n\nMore."), SMALL)
    assert both.heading_path == ("A", "C")


def test_an_overlap_repeats_whole_sentences() -> None:
    text = "\n\n".join(f"Number {n} is here. It says so. Then it ends." for n in range(20))
    chunks = check(parsed(text), SMALL)
    overlaps = [
        text[later.start : earlier.end]
        for earlier, later in pairwise(chunks)
        if later.start < earlier.end
    ]
    assert overlaps
    assert set(overlaps) == {"Then it ends."} or all(o.endswith("Then it ends.") for o in overlaps)
    assert all(re.match(r"Number|It says|Then", overlap) for overlap in overlaps)


def rows(count: int) -> str:
    head = "| name | value |\n| --- | --- |\n"
    return head + "".join(f"| item {n} | {n * n} |\n" for n in range(count))


def test_a_table_that_fits_stays_whole() -> None:
    table = rows(10)
    text = f"{'Words before it. ' * 40}\n\n{table}\n\n{'Words after it. ' * 40}"
    chunks = check(parsed(text), Chunker(150, 16))
    assert sum(table.strip() in chunk.text for chunk in chunks) == 1


def test_a_table_below_a_line_of_text_stays_whole() -> None:
    table = rows(10)
    text = f"{'Words before it.' * 20}\nThe values:\n{table}"
    assert any(table.strip() in chunk.text for chunk in check(parsed(text), Chunker(120, 16)))


def test_a_larger_table_is_split_between_rows() -> None:
    text = f"# Table\n\n{rows(200)}\nAfter."
    chunks = check(parsed(text), Chunker(100, 16))
    assert len(chunks) > 10
    for chunk in chunks:
        for line in chunk.text.splitlines():
            assert line in ("# Table", "", "After.") or (line[0] == "|" and line[-1] == "|")


@pytest.mark.parametrize("overlap", [0, 16])
def test_each_chunk_of_a_table_has_the_header_row(overlap: int) -> None:
    text = f"# Table\n\n{rows(60)}\nAfter.\n\n{rows(40).replace('name', 'other')}"
    chunks = check(parsed(text), Chunker(100, overlap))
    for chunk in chunks:
        first = next(line for line in chunk.text.splitlines() if line[:1] == "|")
        table = "name" if chunk.start < text.index("After.") else "other"
        header = f"| {table} | value |"
        assert first == header or chunk.repeated_header == header + "\n" or header in chunk.text
        assert (chunk.repeated_header + chunk.text).count(header) == 1
    # No header for a table without one, or if it would fill the chunk.
    bare = "".join(f"| item {n} | {n * n} |\n" for n in range(60))
    assert not any(chunk.repeated_header for chunk in check(parsed(bare), Chunker(100, overlap)))
    wide = rows(60).replace("| name |", f"| {'name ' * 40} |")
    assert not any(chunk.repeated_header for chunk in check(parsed(wide), Chunker(100, overlap)))


def test_fenced_code_with_blank_lines_and_hashes_is_one_block() -> None:
    code = "```python\n# not a heading\n\nx = 1\n\ny = 2\n```"
    document = ParsedDocument(
        f"{'Before it. ' * 10}\n\n{code}\n\n{'After it. ' * 10}", "text/markdown", True, PRODUCED_BY
    )
    assert any(code in chunk.text for chunk in check(document, SMALL))


def test_plain_text_has_no_markdown_headings() -> None:
    document = parsed("# remark\n" * 100, is_markdown=False)
    assert check(document, SMALL)[0].heading_path == ()


def test_pages_are_those_of_the_first_and_last_character() -> None:
    pages = [f"Page {number}. " + "Words on it. " * 10 + "\n\n" for number in range(1, 5)]
    starts = tuple(sum(map(len, pages[:number])) for number in range(4))
    chunks = check(parsed("".join(pages), page_starts=starts), Chunker(64, 16))
    for chunk in chunks:
        assert chunk.page_first == sum(start <= chunk.start for start in starts)
        assert chunk.page_last == sum(start < chunk.end for start in starts)
    assert chunks[0].page_first == 1
    assert chunks[-1].page_last == 4
    assert check(parsed("Text."), SMALL)[0].page_first is None


def test_a_text_before_the_first_page_start_counts_as_page_one() -> None:
    assert SMALL.chunk(parsed("Text.", page_starts=(2,)))[0].page_first == 1


@pytest.mark.parametrize(
    ("text", "fewest", "most"),
    [
        pytest.param("a" * 1_000_000, 200, 300, id="one letter"),
        pytest.param("\n" * 1_000_000, 0, 0, id="line ends"),
        pytest.param(" " * 1_000_000 + "x", 1, 1, id="spaces, then a letter"),
        pytest.param("保险合同" * 80_000, 700, 1_200, id="Chinese without a space"),
        pytest.param("👩‍👩‍👧‍👦" * 40_000, 1_400, 2_000, id="joined emoji"),
        pytest.param("Zm9vYmFy+/9x" * 80_000, 500, 2_500, id="base64"),
        pytest.param("word " * 200_000, 350, 500, id="one line of words"),
        pytest.param("!" * 1_000_000, 200, 300, id="one punctuation mark"),
        pytest.param("\n#" * 60_000, 100, 500, id="heading marks"),
    ],
)
def test_a_uniform_megabyte_gives_full_chunks(text: str, fewest: int, most: int) -> None:
    chunks = check(parsed(text), Chunker())
    assert fewest <= len(chunks) <= most


def test_a_split_never_divides_a_visible_character() -> None:
    family = "👩‍👩‍👧‍👦"
    for chunk in check(parsed(family * 50), SMALL):
        assert chunk.text == family * (len(chunk.text) // len(family))
    for chunk in check(parsed("e\u0301" * 200), SMALL):
        assert chunk.text.startswith("e") and chunk.text.endswith("\u0301")


def test_chunkers_with_different_limits_have_different_fingerprints() -> None:
    fingerprints = {Chunker().fingerprint, Chunker(256).fingerprint, Chunker(512, 32).fingerprint}
    assert len(fingerprints) == 3
    assert Chunker(512, 64).fingerprint == Chunker().fingerprint
    assert Chunker().produced_by.mode == "local"
