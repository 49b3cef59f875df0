"""Parsing by a paid service within a run: each distinct file is paid for once.

What belongs here: which documents share a job, the fallback to local parsing, and storing a text in
the transaction that posts its cost. What does not: jobs and requests (`parsing.paid_parsing`), or
the parsers on this machine (`parse_stage`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from time import perf_counter
from typing import TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.text_validation import validate
from tvdb_assets.errors import ChunkError, DocumentError, ParseError, ServiceError
from tvdb_assets.ingestion.document_state import DocumentState, Value
from tvdb_assets.models import ParsedDocument, Stage
from tvdb_assets.parsing.parse_tasks import (
    PaidParseCandidate,
    PreparedDocument,
    chunk_document,
    prepare_document,
)
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.rows import NewParse
from tvdb_assets.routing.service_clients import FALLBACK_SUFFIX
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.guard import Transaction

_T = TypeVar("_T")


class PaidParseStage:
    """Parses documents of one run with its paid parser."""

    def __init__(self, store: DocumentStore, router: ServiceRouter, chunker: Chunker) -> None:
        self._store = store
        self._router = router
        self._chunker = chunker

    async def parse(
        self, paid: Sequence[tuple[DocumentState, PaidParseCandidate]], stages: frozenset[Stage]
    ) -> list[tuple[DocumentState, PreparedDocument]]:
        """Parse documents with the paid service, in parallel, and chunk the texts."""
        same: dict[bytes | None, list[tuple[DocumentState, PaidParseCandidate]]] = {}
        for document, candidate in paid:
            same.setdefault(document.content_sha256, []).append((document, candidate))
        # An error does not cancel the others, because their requests are already sent.
        for ended in await asyncio.gather(
            *(self._parse_equal(group) for group in same.values()), return_exceptions=True
        ):
            if ended is not None:
                raise ended
        chunker = self._chunker if Stage.CHUNKS in stages else None
        prepared = []
        for document, _ in paid:
            document.data = None
            if document.shared_text is None or document.error is not None:
                continue
            if chunker is None:
                prepared.append((document, PreparedDocument(document.shared_text)))
                continue
            future = self._router.services.workers.submit(
                chunk_document, document.shared_text, chunker
            )
            result = await result_of(document, future)
            if result is not None:
                prepared.append((document, result))
        return prepared

    async def _parse_equal(self, same: Sequence[tuple[DocumentState, PaidParseCandidate]]) -> None:
        """Parse documents with the same bytes: the first is paid for, the others use its job."""
        for document, candidate in same:
            await self._parse_one(document, candidate)

    async def _parse_one(self, document: DocumentState, candidate: PaidParseCandidate) -> None:
        assert document.data is not None
        assert document.content_sha256 is not None
        size = len(document.data)
        started = perf_counter()
        unusable: list[ParseError] = []
        stored: list[ParsedDocument] = []

        def persist(tx: Transaction, parsed: ParsedDocument) -> ParseError | None:
            try:
                checked = validate(parsed, size)
                stored[:] = [self._store_parse(document, checked, tx)]
            except ParseError as error:
                unusable.append(error)
                return error
            return None

        try:
            received = await self._router.parse_paid(
                document.data,
                document.row.path,
                candidate.media_type,
                candidate.most_pages,
                persist=persist,
            )
            # Another process may have stored a text of these bytes first.
            document.shared_text = stored[0] if stored else received
        except DocumentError as error:
            document.fail(Stage.PARSED_DOCUMENTS, error)
            return
        except ServiceError as error:
            if not self._router.may_fall_back(error, self._router.clients.parser_mode):
                document.fail(Stage.PARSED_DOCUMENTS, error)
                return
            await self._parse_with_fallback(document)
        if unusable:
            document.fail(Stage.PARSED_DOCUMENTS, unusable[0])
        if document.error is None and document.shared_text is not None:
            document.is_parse_new = True
            seconds = perf_counter() - started
            document.note(
                Stage.PARSED_DOCUMENTS,
                **text_metadata(PreparedDocument(document.shared_text, parse_seconds=seconds)),
            )

    async def _parse_with_fallback(self, document: DocumentState) -> None:
        """Parse on this machine, marked degraded, while the service is unavailable."""
        assert document.data is not None
        document.fingerprint += FALLBACK_SUFFIX
        document.is_parse_degraded = True
        if await asyncio.to_thread(self._find_fallback, document):
            return
        future = self._router.services.workers.submit(
            prepare_document,
            document.data,
            document.row.path,
            "local",
            None,
            True,
            document.media_type,
        )
        result = await result_of(document, future)
        if isinstance(result, PreparedDocument):
            document.shared_text = await asyncio.to_thread(
                self._store_parse, document, result.parsed, None
            )

    def _find_fallback(self, document: DocumentState) -> bool:
        """Whether the fallback's text is stored from an earlier run of the same outage."""
        assert document.content_sha256 is not None
        wanted = (
            document.row.document_id,
            document.content_sha256,
            document.fingerprint,
            document.suffix,
        )
        stored = self._store.texts.find([wanted])[0].get(document.row.document_id)
        if stored is None:
            return False
        document.parsed_id = stored.parsed_id
        sets = self._store.chunk_sets([stored.parsed_id], self._chunker.fingerprint)
        document.chunk_set = sets.get(stored.parsed_id)
        if document.chunk_set is None:
            document.shared_text = self._store.texts.read(stored.parsed_id)
        return True

    def _store_parse(
        self, document: DocumentState, parsed: ParsedDocument, tx: Transaction | None
    ) -> ParsedDocument:
        """Store a text; returns the one that is stored."""
        assert document.content_sha256 is not None
        new = NewParse(
            document.row.document_id,
            document.content_sha256,
            document.fingerprint,
            document.suffix,
            parsed,
        )
        if tx is None:
            stored = self._store.texts.store([new])[document.row.document_id]
        else:
            found = self._store.texts.store_paid(new, document.row, tx)
            if found is None:
                raise codes.DOCUMENT_DELETED.error()
            stored = found
        document.parsed_id, text = stored
        return text


async def result_of(document: DocumentState, future: Future[_T]) -> _T | None:
    """The result of a worker; None if the document failed, which only affects this document."""
    try:
        return await asyncio.wrap_future(future)
    except DocumentError as error:
        document.fail(
            Stage.CHUNKS if isinstance(error, ChunkError) else Stage.PARSED_DOCUMENTS, error
        )
        return None


def text_metadata(result: PreparedDocument) -> dict[str, Value]:
    """Counts and names of a text, for the metadata of its stage."""
    parsed = result.parsed
    return {
        "pages": len(parsed.page_starts),
        # Before the others, so that no fact replaces what is known without the parser.
        **parsed.facts,
        "characters": len(parsed.text),
        "headings": len(parsed.headings),
        "media_type": parsed.media_type,
        "service": parsed.produced_by.service,
        "is_degraded": parsed.produced_by.is_degraded,
        "seconds": round(result.parse_seconds, 4),
    }
