"""The parse stage: reuses stored texts and chunks, and creates and stores missing ones.

What belongs here: which documents are read, parsed and chunked, and with which parser. What does
not: parsing (`parsing`), chunking (`core`), or statements (`repositories.document_store`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.errors import ConfigurationError, DocumentError, SourceError
from tvdb_assets.ingestion.document_state import DocumentState
from tvdb_assets.ingestion.embed_stage import for_one
from tvdb_assets.ingestion.paid_parse_stage import PaidParseStage, result_of, text_metadata
from tvdb_assets.models import ParsedDocument, SourceFile, Stage
from tvdb_assets.parsing.container_members import check_extracted, extract_members
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


class ParseStage:
    """Creates the texts and chunks of the documents of one run."""

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
        self._paid = PaidParseStage(store, router, chunker)

    def begin(
        self,
        batch: Sequence[DocumentState],
        stages: frozenset[Stage],
        container: DocumentState | None = None,
    ) -> None:
        """Find stored results, and submit the other documents to the worker processes.

        Args:
            batch: files, or members of one container.
            stages: the stages of the run.
            container: the container of the members, or None; its members are extracted.
        """
        self._find_stored(batch, stages)
        if container is not None and container.container_media_type is not None:
            self._extract(batch, container)
        self._submit(batch, stages)

    async def finish(self, batch: Sequence[DocumentState], stages: frozenset[Stage]) -> None:
        """Wait for the tasks of `begin`, parse with the paid service, and store all results."""
        prepared: list[tuple[DocumentState, PreparedDocument]] = []
        paid: list[tuple[DocumentState, PaidParseCandidate]] = []
        for document in batch:
            if document.future is None:
                if document.shared_text is not None and document.error is None:
                    prepared.append((document, PreparedDocument(document.shared_text)))
                continue
            result = await result_of(document, document.future)
            document.future = None
            if isinstance(result, PaidParseCandidate):
                paid.append((document, result))
                continue
            if isinstance(result, ContainerFile):
                document.container_media_type = result.media_type
            elif result is not None:
                prepared.append((document, result))
                if result.has_members and Stage.PARSED_DOCUMENTS in stages:
                    document.container_media_type = result.parsed.media_type
            if document.container_media_type is None:
                document.data = None
        if paid:
            prepared += await self._paid.parse(paid, stages)
        await asyncio.to_thread(self._store_prepared, prepared)

    def _find_stored(self, batch: Sequence[DocumentState], stages: frozenset[Stage]) -> None:
        """Look up the stored results of each document; its bytes are read if parsing is a stage."""
        if Stage.PARSED_DOCUMENTS in stages:
            self._read(batch)
            wanted = [
                (
                    document.row.document_id,
                    document.content_sha256,
                    document.fingerprint,
                    document.suffix,
                )
                for document in batch
                if document.content_sha256 is not None
            ]
            own, shared_text = self._store.texts.find(wanted, self._router.clients.paid_prefix)
            for document in batch:
                if (own_parse := own.get(document.row.document_id)) is not None:
                    document.parsed_id = own_parse.parsed_id
                    if has_members(own_parse.media_type, own_parse.attachments):
                        document.container_media_type = own_parse.media_type
                elif (other := shared_text.get(document.row.document_id)) is not None:
                    document.shared_text = other[1]
                    if PreparedDocument(document.shared_text).has_members:
                        document.container_media_type = document.shared_text.media_type
        else:
            containers = self._store.members.containers(
                [document.row.document_id for document in batch]
            )
            without_parse = [document for document in batch if document.parsed_id is None]
            latest = self._store.texts.latest(
                [document.row.document_id for document in without_parse]
            )
            for document in batch:
                document.is_listed = document.row.document_id in containers
            for document in without_parse:
                if (own_parse := latest.get(document.row.document_id)) is not None:
                    document.parsed_id, document.is_parse_degraded = (
                        own_parse.parsed_id,
                        own_parse.is_degraded,
                    )
                    document.fingerprint = own_parse.fingerprint
                elif not document.is_listed:
                    document.fail(
                        min(stages, key=list(Stage).index), codes.PARSED_DOCUMENTS_MISSING.error()
                    )
        parsed_ids = [document.parsed_id for document in batch if document.parsed_id is not None]
        is_chunking = Stage.CHUNKS in stages
        if not is_chunking and Stage.EMBEDDINGS not in stages:
            return
        sets = self._store.chunk_sets(parsed_ids, self._chunker.fingerprint)
        for document in batch:
            if document.parsed_id is not None:
                document.chunk_set = sets.get(document.parsed_id)
            is_empty = document.is_listed and document.parsed_id is None
            if (
                document.error is None
                and document.chunk_set is None
                and not (is_chunking or is_empty)
            ):
                document.fail(Stage.EMBEDDINGS, codes.CHUNKS_MISSING.error())

    def _read(self, batch: Sequence[DocumentState]) -> None:
        """Read the documents of a batch, those of each source together."""
        by_source: dict[str, list[DocumentState]] = {}
        for document in batch:
            document.source = SourceFile(document.row.path, document.row.size, document.row.etag)
            if document.member is None:
                by_source.setdefault(document.row.source, []).append(document)
            elif document.member.error is not None:
                document.fail(Stage.PARSED_DOCUMENTS, document.member.error)
            else:
                document.content_sha256 = document.member.sha256
                document.source = SourceFile(
                    document.row.path, document.member.size, document.member.sha256.hex()
                )
                document.fingerprint = self._router.clients.parser_fingerprint
        for root, documents in by_source.items():
            try:
                source = self._open(root)
            except SourceError as error:
                for document in documents:
                    document.fail(Stage.PARSED_DOCUMENTS, for_one(error))
                continue
            paths = [document.row.path for document in documents]
            found = source.fetch_all(paths, max_bytes=self._max_bytes)
            for document, result in zip(documents, found, strict=True):
                if isinstance(result, SourceError):
                    document.fail(Stage.PARSED_DOCUMENTS, result)
                    continue
                document.source, document.data = result
                document.content_sha256 = sha256(document.data).digest()
                document.fingerprint = self._router.clients.parser_fingerprint

    def _open(self, root: str) -> Source:
        """The source of a document. If it is not there, only its own documents fail."""
        try:
            return self._sources(root)
        except ConfigurationError:
            raise codes.SOURCE_UNAVAILABLE.error(root=root) from None

    def _extract(self, batch: Sequence[DocumentState], container: DocumentState) -> None:
        """Extract the members that have no stored text yet.

        Also those for which the text of another document was found: only their bytes prove that
        they are equal to it, as a container that took over its parser can list any digest.
        """
        assert container.data is not None
        assert container.container_media_type is not None
        wanted = [
            (document, document.member)
            for document in batch
            if document.error is None
            and document.member is not None
            and (document.container_media_type is not None or document.parsed_id is None)
        ]
        if not wanted:
            return
        positions = [member.position for _, member in wanted]
        extraction = self._router.services.workers.submit(
            extract_members, container.data, container.container_media_type, positions
        )
        try:
            contents = extraction.result()
            check_extracted(contents, [member for _, member in wanted])
            for (document, _), data in zip(wanted, contents, strict=True):
                document.data = data
        except DocumentError as error:
            for document, _ in wanted:
                document.fail(Stage.PARSED_DOCUMENTS, for_one(error))

    def _submit(self, batch: Sequence[DocumentState], stages: frozenset[Stage]) -> None:
        """Submit the documents that must be parsed or chunked to the worker processes."""
        chunker = self._chunker if Stage.CHUNKS in stages else None
        workers = self._router.services.workers
        for document in batch:
            if document.error is not None:
                continue
            if document.parsed_id is None and document.shared_text is None:
                if document.is_listed:
                    continue
                assert document.data is not None
                task, args = parse_task(
                    self._router, document.data, document.row.path, chunker, document.media_type
                )
                document.future = workers.submit(task, *args)
            elif chunker is not None and document.chunk_set is None:
                parsed = document.shared_text or self._store.texts.read(document.parsed_id or 0)
                document.future = workers.submit(chunk_document, parsed, chunker)
            # Otherwise the bytes are kept, for a paid service or for extracting members.
            if document.future is None and document.container_media_type is None:
                document.data = None

    def _store_prepared(self, prepared: Sequence[tuple[DocumentState, PreparedDocument]]) -> None:
        parses = []
        for document, result in prepared:
            if document.parsed_id is None:
                assert document.content_sha256 is not None
                document.is_parse_new = True
                parses.append(
                    NewParse(
                        document.row.document_id,
                        document.content_sha256,
                        document.fingerprint,
                        document.suffix,
                        result.parsed,
                    )
                )
                document.note(Stage.PARSED_DOCUMENTS, **text_metadata(result))
        stored_texts = self._store.texts.store(parses)
        sets = []
        for document, made in prepared:
            chunked: PreparedDocument | None = made
            if document.parsed_id is None:
                document.parsed_id, text = stored_texts[document.row.document_id]
                chunked = self._chunks_of(document, text, made)
            if chunked is None:
                continue
            if chunked.error is not None:
                document.fail(Stage.CHUNKS, chunked.error)
            elif chunked.chunks is not None:
                document.is_chunk_set_new = True
                sets.append(
                    NewChunkSet(
                        document.parsed_id,
                        document.row.document_id,
                        self._chunker.fingerprint,
                        chunked.chunks,
                        chunked.parsed.title,
                    )
                )
                document.note(Stage.CHUNKS, seconds=round(chunked.chunk_seconds, 4))
        stored = self._store.store_chunk_sets(sets, self._chunker.produced_by)
        for document, _ in prepared:
            document.chunk_set = stored.get(document.row.document_id, document.chunk_set)

    def _chunks_of(
        self, document: DocumentState, text: ParsedDocument, made: PreparedDocument
    ) -> PreparedDocument | None:
        """The chunks of the text that is stored, which another process may have stored first.

        Returns:
            None if the stored text is not the one that was chunked, and can't be chunked.
        """
        if made.chunks is None or text.text == made.parsed.text:
            return made
        try:
            return self._router.services.workers.submit(
                chunk_document, text, self._chunker
            ).result()
        except DocumentError as error:
            document.fail(Stage.CHUNKS, for_one(error))
            return None


def parse_task(
    router: ServiceRouter,
    data: bytes,
    path: str,
    chunker: Chunker | None,
    media_type: str | None = None,
) -> tuple[
    Callable[..., PreparedDocument | PaidParseCandidate | ContainerFile], tuple[object, ...]
]:
    """The first task of a document in a worker process: a function and its arguments."""
    mode = router.clients.free_parser_mode.value
    if router.clients.paid_parser is None:
        return prepare_document, (data, path, mode, chunker, False, media_type)
    paid_types = router.clients.paid_parser.media_types
    return prepare_or_inspect, (data, path, mode, chunker, paid_types, media_type)
