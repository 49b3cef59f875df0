"""What the result of a task can be: bounds that each honest result keeps.

What belongs here: checks of a result's values with each other and with the arguments of its task.
What does not: the shape of a reply (`parsing.worker_replies`), or whether a text is plausible
(`core.text_validation`).

A parser that a document took over can reply any value of the declared type. A value that the
database refuses would end the run, and with it all other documents; a false provenance would hide
that a fallback made the text; a false number of pages would reserve too little. Nothing here reads
a text more than a few times, so a check takes a small part of the time of the decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from itertools import pairwise
from typing import Any

from tvdb_assets.core.token_counting import LONGEST_TOKEN
from tvdb_assets.models import Chunk, ParsedDocument, Provenance
from tvdb_assets.parsing.format_registry import all_parsers

_LARGEST = 2**31 - 1
"""Of a column of type integer."""
_LONGEST_LABEL = 200
_MOST_LEVELS = 100
_LONGEST_TITLE = 300
"""Characters of a title or heading, to which parsers cut them."""
_MOST_TITLES = 1 << 16
"""Characters of all titles together, beyond those of the text."""
_MOST_REPEATED = 16
"""Times that all chunks together are longer than the text. Honest ones of the defaults reach 1.4,
by their overlap and the headers of tables; each chunk is paid for."""
_MOST_NOTES = 1_000_000
"""Characters of all notes."""
_MOST_FACTS = 1_000
_MOST_SECONDS = 1e7

_registered: dict[Callable[..., Any], Callable[..., None]] = {}


def register_check(task: Callable[..., Any], check: Callable[..., None]) -> None:
    """State how a result fits the arguments: ``check(result, *args)`` raises a ValueError."""
    _registered[task] = check


def check_result(task: Callable[..., Any], args: tuple[Any, ...], result: object) -> None:
    """Check a result of a task with its arguments.

    Raises:
        ValueError: no honest worker replies this.
    """
    if (check := _registered.get(task)) is not None:
        check(result, *args)


def check_text(parsed: ParsedDocument) -> None:
    """Check a text and its structure.

    Raises:
        ValueError: there is no text, an offset is outside of it or out of order, a label is no
            label, a number is out of range, or something has a NUL.
    """
    text, by = parsed.text, parsed.produced_by
    offsets = [heading.offset for heading in parsed.headings]
    labels = [parsed.media_type, parsed.encoding or "-", *parsed.facts]
    labels += [by.service, by.mode, by.model or "-", by.version]
    titles = [heading.title for heading in parsed.headings]
    is_valid = (
        text
        and not text.isspace()
        and len(parsed.headings) <= len(text)
        and len(parsed.facts) <= _MOST_FACTS
        and sum(map(len, parsed.notes)) + len(parsed.notes) <= _MOST_NOTES
        and all(len(title) <= _LONGEST_TITLE for title in (parsed.title or "", *titles))
        and sum(map(len, titles)) <= len(text) + _MOST_TITLES
        and not _has_nul([text, parsed.title or "", *parsed.notes, *titles])
        and _is_ascending(parsed.page_starts, len(text))
        and _is_ascending(offsets, len(text))
        and all(0 < heading.level <= _MOST_LEVELS for heading in parsed.headings)
        and all(map(is_label, labels))
        and all(0 <= count <= _LARGEST for count in parsed.facts.values())
    )
    if not is_valid:
        raise ValueError("text or offsets")


def check_chunks(chunks: Sequence[Chunk], parsed: ParsedDocument) -> None:
    """Check the chunks of a text.

    A vector is found by the digest of its text, so a wrong digest would store the vector of one
    text for another one, of another document.

    Raises:
        ValueError: a chunk is not the part of the text that it names, or has another digest, other
            pages or headings, or a number of tokens that its text can't have.
    """
    text, pages = parsed.text, len(parsed.page_starts)
    titles = {heading.title for heading in parsed.headings}
    characters = 0
    for ordinal, chunk in enumerate(chunks):
        embedded = chunk.repeated_header + chunk.text
        encoded = embedded.encode()
        is_valid = (
            chunk.ordinal == ordinal
            and 0 <= chunk.start < chunk.end <= len(text)
            and chunk.text == text[chunk.start : chunk.end]
            and "\0" not in chunk.repeated_header
            and 0 < chunk.token_count <= len(encoded)
            and len(embedded) <= LONGEST_TOKEN * chunk.token_count
            and sha256(encoded).digest() == chunk.sha256
            and len(chunk.heading_path) <= _MOST_LEVELS
            and titles.issuperset(chunk.heading_path)
            and _is_range_of_pages(chunk.page_first, chunk.page_last, pages)
        )
        if not is_valid:
            raise ValueError("a chunk")
        characters += len(embedded)
    if characters > _MOST_REPEATED * len(text) + _MOST_TITLES:
        raise ValueError("length of all chunks")


def check_provenance(made_by: Provenance, mode: str, *, is_degraded: bool) -> None:
    """Check that a parser of this machine made a text, in the mode that was asked for.

    Raises:
        ValueError: it claims another service, version or mode, or that no fallback made it.
    """
    is_valid = (
        made_by.service in _services()
        and made_by.version == _version(made_by.service)
        and made_by.mode == mode
        and made_by.is_degraded == is_degraded
    )
    if not is_valid:
        raise ValueError("provenance")


def check_seconds(*seconds: float) -> None:
    """Check durations.

    Raises:
        ValueError: one is negative, or longer than any task.
    """
    if not all(0 <= each <= _MOST_SECONDS for each in seconds):
        raise ValueError("seconds")


def is_label(text: str) -> bool:
    """Whether a text can be a name of a kind, a library or a count: one short printable line."""
    return 0 < len(text) <= _LONGEST_LABEL and text.isprintable()


def _is_range_of_pages(first: int | None, last: int | None, pages: int) -> bool:
    if not pages or first is None or last is None:
        return not pages and first is None and last is None
    return 1 <= first <= last <= pages


def _is_ascending(offsets: Sequence[int], length: int) -> bool:
    bounds = (0, *offsets, length)
    return all(first <= second for first, second in pairwise(bounds))


def _has_nul(texts: Iterable[str]) -> bool:
    return any("\0" in text for text in texts)


@cache
def _services() -> frozenset[str]:
    return frozenset(parser.service for parser in all_parsers())


@cache
def _version(service: str) -> str:
    return version(service)
