"""What a search returns.

What belongs here: the values of a result. What does not: how they are found (`retrieval.index`)
or displayed (`cli`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import overload


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in points of 1/72 inch from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search: a chunk of a document, and the passage in it that fits best."""

    score: float
    """How well the chunk fits the question, from 0 to 1; see `SearchResult.is_confident`."""
    document: str
    """Path of the document within its source."""
    source: str
    """Root of its source: the absolute path of a folder, or a URL."""
    title: str | None
    page: int | None
    """Page of the passage, from 1; None where the format has no pages."""
    heading: str
    """Headings above the passage, joined by " > "."""
    start: int
    """Offset of the first character of ``text`` in the stored text of the document."""
    end: int
    """Offset after the last character."""
    repeated_header: str
    """Header row of the table that ``text`` continues; not part of the offsets."""
    text: str
    chunk_id: int
    vector_space: str
    """Label of the space of the vectors that were compared."""
    language: str | None = None
    """ISO 639-1 code of the language of the document; None if it is not known."""
    box: Box | None = None
    """Where the passage is on the page; None where that is not known."""
    passage_start: int = 0
    """Offset of the passage in ``text``; ``text[passage_start:passage_end]`` is the passage."""
    passage_end: int = 0
    """Offset after the last character of the passage in ``text``."""
    stable_id: str = ""
    """Identifies this text at this place of this document. It stays the same when an unchanged
    document is ingested again."""
    words_score: float | None = None
    """Share of the words of the question, weighted by their rarity, that the chunk has, from 0 to
    1; None if words were not ranked."""
    vector_score: float | None = None
    """Cosine similarity of question and chunk; None if vectors were not ranked."""


@dataclass(frozen=True, slots=True)
class SearchResult(Sequence[Hit]):
    """The results of one question, the best one first; a sequence of `Hit`."""

    hits: tuple[Hit, ...] = ()
    is_confident: bool = False
    """Whether the best result fits the question. If not, nothing in the index fits well."""
    notes: tuple[str, ...] = ()
    """What a person should know about this answer, e.g. that vectors were not used."""
    cost_usd: Decimal = Decimal(0)
    """US dollars that were paid for the vector of the question."""

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, position: int) -> Hit: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, position: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[position]
