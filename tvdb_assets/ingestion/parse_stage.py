"""From bytes to chunks: what is stored already is found, what is not is made and stored.

What belongs here: which documents are read, parsed, chunked, and by whom. What does not: how
(`services`), or statements (`repositories.document_store`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from hashlib import sha256
from time import perf_counter
from typing import TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.text_validation import validate
from tvdb_assets.errors import ChunkError, DocumentError, ParseError, ServiceError, SourceError
from tvdb_assets.ingestion.document_state import DocumentState, Value
from tvdb_assets.ingestion.embed_stage import for_one
from tvdb_assets.models import ParsedDocument, SourceFile, Stage
from tvdb_assets.parsing.container_members import extract_members
from tvdb_assets.parsing.parse_tasks import (
    ContainerFile,
    PaidParseCandidate,
    PreparedDocument,
    chunk_document,
    has_members,
    prepare_document,
    prepare_or_inspect,
)
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.rows import NewChunkSet, NewParse
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.guard import Transaction

_T = TypeVar("_T")


class ParseStage:
    """Makes text and chunks for the documents of one run."""

    def __init__(
        self,
        store: DocumentStore,
        sources: Callable[[str], Source],
        router: ServiceRouter,
        chunker: Chunker,
        max_bytes: int,
    ) -> None:
        self._store = store
        self._sources = sources
        self._router = router
        self._chunker = chunker
        self._max_bytes = max_bytes

    def begin(
        self,
        batch: Sequence[DocumentState],
        stages: frozenset[Stage],
        container: DocumentState | None = None,
    ) -> None:
        """Find what is stored, and hand the rest to the worker processes.

        Args:
            batch: files, or members of one container.
            stages: of the run.
            container: of members; they are taken out of it here.
        """
        self._find_stored(batch, stages)
        if container is not None and container.holds is not None:
            self._take_out(batch, container)
        self._submit(batch, stages)

    async def finish(self, batch: Sequence[DocumentState], stages: frozenset[Stage]) -> None:
        """Wait for what `begin` started, have parsed what is paid for, and store it all."""
        prepared: list[tuple[DocumentState, PreparedDocument]] = []
        paid: list[tuple[DocumentState, PaidParseCandidate]] = []
        for t in batch:
            if t.future is None:
                if t.shared_text is not None and t.error is None:
                    prepared.append((t, PreparedDocument(t.shared_text)))
                continue
            made = await _result_of(t, t.future)
            t.future = None
            if isinstance(made, PaidParseCandidate):
                paid.append((t, made))
                continue
            if isinstance(made, ContainerFile):
                t.holds = made.media_type
            elif made is not None:
                prepared.append((t, made))
                if made.has_members and Stage.PARSED_DOCUMENTS in stages:
                    t.holds = made.parsed.media_type
            if t.holds is None:
                t.data = None
        if paid:
            prepared += await self._parse_paid(paid, stages)
        await asyncio.to_thread(self._store_prepared, prepared)

    def _find_stored(self, batch: Sequence[DocumentState], stages: frozenset[Stage]) -> None:
        """Look up what each document has already, reading its bytes only if it is to be parsed."""
        if Stage.PARSED_DOCUMENTS in stages:
            for t in batch:
                self._read(t)
            wanted = [
                (t.row.document_id, t.content_sha256, t.fingerprint, t.suffix)
                for t in batch
                if t.content_sha256 is not None
            ]
            own, shared_text = self._store.parses(wanted)
            for t in batch:
                if (mine := own.get(t.row.document_id)) is not None:
                    t.parsed_id = mine.parsed_id
                    if has_members(mine.media_type, mine.attachments):
                        t.holds = mine.media_type
                elif (other := shared_text.get(t.row.document_id)) is not None:
                    t.shared_text = other[1]
                    if PreparedDocument(t.shared_text).has_members:
                        t.holds = t.shared_text.media_type
        else:
            containers = self._store.members.containers([t.row.document_id for t in batch])
            unknown = [t for t in batch if t.parsed_id is None]
            latest = self._store.latest_parses([t.row.document_id for t in unknown])
            for t in batch:
                t.is_listed = t.row.document_id in containers
            for t in unknown:
                if (mine := latest.get(t.row.document_id)) is not None:
                    t.parsed_id, t.is_parse_degraded = mine.parsed_id, mine.is_degraded
                    t.fingerprint = mine.fingerprint
                elif not t.is_listed:
                    t.fail(
                        min(stages, key=list(Stage).index), codes.PARSED_DOCUMENTS_MISSING.error()
                    )
        parsed_ids = [t.parsed_id for t in batch if t.parsed_id is not None]
        is_chunking = Stage.CHUNKS in stages
        if not is_chunking and Stage.EMBEDDINGS not in stages:
            return
        sets = self._store.chunk_sets(parsed_ids, self._chunker.fingerprint)
        for t in batch:
            if t.parsed_id is not None:
                t.chunk_set = sets.get(t.parsed_id)
            is_empty = t.is_listed and t.parsed_id is None
            if t.error is None and t.chunk_set is None and not (is_chunking or is_empty):
                t.fail(Stage.EMBEDDINGS, codes.CHUNKS_MISSING.error())

    def _read(self, t: DocumentState) -> None:
        t.source = SourceFile(t.row.path, t.row.size, t.row.etag)
        if t.member is not None:
            if t.member.error is not None:
                t.fail(Stage.PARSED_DOCUMENTS, t.member.error)
                return
            t.content_sha256 = t.member.sha256
            t.source = SourceFile(t.row.path, t.member.size, t.member.sha256.hex())
            t.fingerprint = self._router.clients.parser_fingerprint
            return
        try:
            source = self._sources(t.row.source)
            t.source = source.stat(t.row.path)
            data = source.read(t.row.path, max_bytes=self._max_bytes)
        except SourceError as error:
            t.fail(Stage.PARSED_DOCUMENTS, error)
            return
        t.content_sha256 = sha256(data).digest()
        t.fingerprint = self._router.clients.parser_fingerprint
        t.data = data

    def _take_out(self, batch: Sequence[DocumentState], container: DocumentState) -> None:
        """Get the bytes of those members that are to be parsed or listed."""
        assert container.data is not None
        assert container.holds is not None
        wanted = [
            (t, t.member)
            for t in batch
            if t.error is None
            and t.member is not None
            and (t.holds is not None or (t.parsed_id is None and t.shared_text is None))
        ]
        if not wanted:
            return
        positions = [member.position for _, member in wanted]
        taking = self._router.services.workers.submit(
            extract_members, container.data, container.holds, positions
        )
        try:
            for (t, _), data in zip(wanted, taking.result(), strict=True):
                t.data = data
        except DocumentError as error:
            for t, _ in wanted:
                t.fail(Stage.PARSED_DOCUMENTS, for_one(error))

    def _submit(self, batch: Sequence[DocumentState], stages: frozenset[Stage]) -> None:
        """Hand to the worker processes what is to be parsed or chunked."""
        chunker = self._chunker if Stage.CHUNKS in stages else None
        workers = self._router.services.workers
        for t in batch:
            if t.error is not None:
                continue
            if t.parsed_id is None and t.shared_text is None:
                if t.is_listed:
                    continue
                assert t.data is not None
                task, args = parse_task(self._router, t.data, t.row.path, chunker, t.media_type)
                t.future = workers.submit(task, *args)
            elif chunker is not None and t.chunk_set is None:
                parsed = t.shared_text or self._store.parsed(t.parsed_id or 0)
                t.future = workers.submit(chunk_document, parsed, chunker)
            # Otherwise they are kept: for a paid service, or for what is inside.
            if t.future is None and t.holds is None:
                t.data = None

    async def _parse_paid(
        self, paid: Sequence[tuple[DocumentState, PaidParseCandidate]], stages: frozenset[Stage]
    ) -> list[tuple[DocumentState, PreparedDocument]]:
        """Have documents parsed by the paid service, side by side, and chunk what it made."""
        same: dict[bytes | None, list[tuple[DocumentState, PaidParseCandidate]]] = {}
        for t, seen in paid:
            same.setdefault(t.content_sha256, []).append((t, seen))
        await asyncio.gather(*(self._parse_in_turn(group) for group in same.values()))
        chunker = self._chunker if Stage.CHUNKS in stages else None
        prepared = []
        for t, _ in paid:
            t.data = None
            if t.shared_text is None or t.error is not None:
                continue
            if chunker is None:
                prepared.append((t, PreparedDocument(t.shared_text)))
                continue
            future = self._router.services.workers.submit(chunk_document, t.shared_text, chunker)
            made = await _result_of(t, future)
            if made is not None:
                prepared.append((t, made))
        return prepared

    async def _parse_in_turn(
        self, same: Sequence[tuple[DocumentState, PaidParseCandidate]]
    ) -> None:
        """Documents with the same bytes: the first is paid for, the others ask for its job."""
        for t, seen in same:
            await self._parse_one(t, seen)

    async def _parse_one(self, t: DocumentState, seen: PaidParseCandidate) -> None:
        assert t.data is not None
        assert t.content_sha256 is not None
        size = len(t.data)
        started = perf_counter()
        unusable: list[ParseError] = []

        def persist(tx: Transaction, parsed: ParsedDocument) -> None:
            try:
                validate(parsed, size)
            except ParseError as error:
                unusable.append(error)
            else:
                t.parsed_id = self._store_parse(t, parsed, tx)

        try:
            t.shared_text = await self._router.parse_paid(
                t.data, t.row.path, seen.media_type, seen.most_pages, persist=persist
            )
        except DocumentError as error:
            t.fail(Stage.PARSED_DOCUMENTS, error)
            return
        except ServiceError as error:
            if not self._router.may_fall_back(error, self._router.clients.parser_mode):
                t.fail(Stage.PARSED_DOCUMENTS, error)
                return
            await self._parse_with_fallback(t)
        if unusable:
            t.fail(Stage.PARSED_DOCUMENTS, unusable[0])
        if t.error is None and t.shared_text is not None:
            t.is_parse_new = True
            seconds = perf_counter() - started
            t.note(
                Stage.PARSED_DOCUMENTS,
                **_told(PreparedDocument(t.shared_text, parse_seconds=seconds)),
            )

    async def _parse_with_fallback(self, t: DocumentState) -> None:
        """Parse on this machine, marked degraded, while the service is unavailable."""
        assert t.data is not None
        t.fingerprint += "+fallback"
        t.is_parse_degraded = True
        if await asyncio.to_thread(self._find_fallback, t):
            return
        future = self._router.services.workers.submit(
            prepare_document, t.data, t.row.path, "local", None, True, t.media_type
        )
        made = await _result_of(t, future)
        if isinstance(made, PreparedDocument):
            t.shared_text = made.parsed
            t.parsed_id = await asyncio.to_thread(self._store_parse, t, made.parsed, None)

    def _find_fallback(self, t: DocumentState) -> bool:
        """Whether the outage lasts, and what stood in for its first walk is stored."""
        assert t.content_sha256 is not None
        wanted = (t.row.document_id, t.content_sha256, t.fingerprint, t.suffix)
        mine = self._store.parses([wanted])[0].get(t.row.document_id)
        if mine is None:
            return False
        t.parsed_id = mine.parsed_id
        sets = self._store.chunk_sets([mine.parsed_id], self._chunker.fingerprint)
        t.chunk_set = sets.get(mine.parsed_id)
        if t.chunk_set is None:
            t.shared_text = self._store.parsed(mine.parsed_id)
        return True

    def _store_parse(self, t: DocumentState, parsed: ParsedDocument, tx: Transaction | None) -> int:
        assert t.content_sha256 is not None
        new = NewParse(t.row.document_id, t.content_sha256, t.fingerprint, t.suffix, parsed)
        return self._store.store_parses([new], tx)[t.row.document_id]

    def _store_prepared(self, prepared: Sequence[tuple[DocumentState, PreparedDocument]]) -> None:
        parses = []
        for t, made in prepared:
            if t.parsed_id is None:
                assert t.content_sha256 is not None
                t.is_parse_new = True
                parses.append(
                    NewParse(
                        t.row.document_id, t.content_sha256, t.fingerprint, t.suffix, made.parsed
                    )
                )
                t.note(Stage.PARSED_DOCUMENTS, **_told(made))
        parsed_ids = self._store.store_parses(parses)
        sets = []
        for t, made in prepared:
            t.parsed_id = t.parsed_id or parsed_ids[t.row.document_id]
            if made.error is not None:
                t.fail(Stage.CHUNKS, made.error)
            elif made.chunks is not None:
                t.is_chunk_set_new = True
                sets.append(
                    NewChunkSet(
                        t.parsed_id, t.row.document_id, self._chunker.fingerprint, made.chunks
                    )
                )
                t.note(Stage.CHUNKS, seconds=round(made.chunk_seconds, 4))
        stored = self._store.store_chunk_sets(sets, self._chunker.produced_by)
        for t, _ in prepared:
            t.chunk_set = stored.get(t.row.document_id, t.chunk_set)


def parse_task(
    router: ServiceRouter,
    data: bytes,
    path: str,
    chunker: Chunker | None,
    media_type: str | None = None,
) -> tuple[
    Callable[..., PreparedDocument | PaidParseCandidate | ContainerFile], tuple[object, ...]
]:
    """What a worker process does first with a document: a function and its arguments."""
    mode = router.clients.free_parser_mode.value
    if router.clients.paid_parser is None:
        return prepare_document, (data, path, mode, chunker, False, media_type)
    paid_types = router.clients.paid_parser.media_types
    return prepare_or_inspect, (data, path, mode, chunker, paid_types, media_type)


async def _result_of(t: DocumentState, future: Future[_T]) -> _T | None:
    """What a worker made; a document that it could not prepare fails alone."""
    try:
        return await asyncio.wrap_future(future)
    except DocumentError as error:
        t.fail(Stage.CHUNKS if isinstance(error, ChunkError) else Stage.PARSED_DOCUMENTS, error)
        return None


def _told(made: PreparedDocument) -> dict[str, Value]:
    parsed = made.parsed
    return {
        "characters": len(parsed.text),
        "pages": len(parsed.page_starts),
        "headings": len(parsed.headings),
        "media_type": parsed.media_type,
        "service": parsed.produced_by.service,
        "is_degraded": parsed.produced_by.is_degraded,
        "seconds": round(made.parse_seconds, 4),
        **parsed.facts,
    }
