"""What the HTTP service and the MCP server receive and return, as types that describe themselves.

What belongs here: fields, their bounds, and their values from results of `retrieval`. What does
not: routes (`api`) and tools (`mcp_server`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.index import MAX_RESULTS
from tvdb_assets.retrieval.results import Hit, SearchResult
from tvdb_assets.retrieval.stored_document import SourceSummary, StoredDocument

MAX_QUESTION: Final = 2_000
"""Characters of a question."""
MAX_NAME: Final = 4_096
"""Characters of a path, a source or another value of a filter."""
MAX_METADATA: Final = 20
"""Conditions on metadata in one search."""


class _Model(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class FilterFields(_Model):
    """Restricts a search to some documents. All given conditions must hold."""

    source: str | None = Field(None, max_length=MAX_NAME)
    """Root folder or bucket of the documents, as `sources` returns it."""
    path: str | None = Field(None, max_length=MAX_NAME)
    """Beginning of the path within the source, or a glob pattern for the whole path."""
    media_type: str | None = Field(None, max_length=200)
    """Media type, e.g. `application/pdf`; `text/*` matches all subtypes."""
    language: str | None = Field(None, max_length=35)
    """ISO 639-1 code of the language of the document, e.g. `de`."""
    modified_from: datetime | None = None
    """Earliest modification time of the file, inclusive; a time without zone is UTC."""
    modified_to: datetime | None = None
    """Latest modification time of the file, exclusive; a time without zone is UTC."""
    metadata: dict[str, str] = Field(default_factory=dict, max_length=MAX_METADATA)
    """Values that the metadata of the document must have, by name."""

    def value(self) -> Filters | None:
        """The filters for `Index.search`; None if there is no condition."""
        filters = Filters(**{name: value for name, value in self if value not in (None, "")})
        return filters or None


class SearchRequest(_Model):
    """A question to the index."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION)
    """A question in plain language, or words, names and numbers to find."""
    k: int = Field(10, ge=1, le=MAX_RESULTS)
    """Maximum number of results."""
    filters: FilterFields = Field(default_factory=FilterFields)
    min_score: float | None = Field(None, ge=0, le=1)
    """Leave out results with a lower score."""


class BoxFields(_Model):
    """A rectangle on a page, in points of 1/72 inch from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


class HitFields(_Model):
    """A passage that was found, with its place in its document."""

    score: float
    """How well it fits the question, from 0 to 1."""
    document: str
    """Path of the document within its source; `show` takes it."""
    source: str
    """Root folder or bucket of the document."""
    title: str | None
    page: int | None
    """Page of the passage, from 1; null where the format has no pages."""
    heading: str
    """Headings above the passage."""
    start: int
    """Offset of `text` in the stored text of the document, in code points."""
    end: int
    """Offset after the last character."""
    repeated_header: str
    """Header row of the table that `text` continues; not part of the offsets."""
    text: str
    passage_start: int
    """Start of the passage that fits best, as an offset in `text`."""
    passage_end: int
    stable_id: str
    """Identifies this text at this place of this document."""
    language: str | None
    box: BoxFields | None
    """Where the passage is on the page."""
    words_score: float | None
    """Part of the question's words that the passage has; null if words were not ranked."""
    vector_score: float | None
    """Cosine similarity; null if vectors were not ranked."""
    chunk_id: int
    vector_space: str

    @classmethod
    def of(cls, hit: Hit) -> HitFields:
        """The fields of a result."""
        return cls.model_validate(_known(cls, asdict(hit)))


class SearchAnswer(_Model):
    """The passages that fit a question best, the best one first."""

    is_confident: bool
    """Whether the best passage fits the question. If not, nothing in the index fits well."""
    notes: list[str]
    """What a person should know about this answer."""
    cost_usd: str
    """US dollars that were paid for the vector of the question."""
    run_id: str
    """Id of this search, for `tvdb trace`."""
    hits: list[HitFields]

    @classmethod
    def of(cls, result: SearchResult, run_id: str) -> SearchAnswer:
        """The fields of an answer."""
        return cls(
            is_confident=result.is_confident,
            notes=list(result.notes),
            cost_usd=f"{result.cost_usd:f}",
            run_id=run_id,
            hits=[HitFields.of(hit) for hit in result],
        )


class HeadingFields(_Model):
    """A heading of a document."""

    offset: int
    level: int
    title: str
    page: int | None


class PageFields(_Model):
    """A page of a document."""

    page: int
    start: int
    """Offset of its first character in the text of the document."""


class ProvenanceFields(_Model):
    """The service that produced a text."""

    service: str
    mode: str
    model: str
    version: str
    is_degraded: bool


class DocumentFields(_Model):
    """The stored text of a document, as search sees it."""

    document_id: int
    source: str
    path: str
    title: str | None
    media_type: str
    is_markdown: bool
    language: str | None
    page: int | None
    """The page that `text` is; null for the whole document."""
    page_count: int | None
    start: int
    """Offset of `text` in the whole text."""
    end: int
    text: str
    pages: list[PageFields]
    headings: list[HeadingFields]
    notes: list[str]
    facts: dict[str, Any]
    produced_by: ProvenanceFields
    run_id: str
    """Id of the run that parsed it, for `tvdb trace`."""
    parsed_at: datetime
    content_sha256: str
    is_searched: bool
    not_searched: str | None
    """Why search does not find it."""
    is_outdated: bool
    """Whether the file has changed since it was parsed."""
    chunks: int
    vector_space: str | None
    status: str
    error_code: str | None

    @classmethod
    def of(cls, document: StoredDocument, page: int | None = None) -> DocumentFields:
        """The fields of a document.

        Raises:
            ConfigurationError: there is no such page.
        """
        return cls.model_validate(_known(cls, document.as_json(page)))


class SourceFields(_Model):
    """A source of documents."""

    source: str
    documents: int
    searched_documents: int
    media_types: list[str]
    languages: list[str]

    @classmethod
    def of(cls, source: SourceSummary) -> SourceFields:
        """The fields of a source."""
        return cls.model_validate(_known(cls, asdict(source)))


class SourceList(_Model):
    """All sources."""

    sources: list[SourceFields]


class Health(_Model):
    """Whether the service can answer questions."""

    status: str
    """`ok`, or `unavailable` if the database does not answer."""


class Problem(_Model):
    """An error, as RFC 9457 defines it."""

    type: str
    title: str
    status: int
    detail: str
    """What is wrong."""
    code: str
    """A stable code for programs."""
    remedy: str
    """What to do."""
    disposition: str
    """`transient`, `terminal` or `deferred`: whether the same request may succeed later."""
    run_id: str | None
    """Id of the request, for `tvdb trace` and in the log."""


def _known(model: type[BaseModel], fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in model.model_fields}
