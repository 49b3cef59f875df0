"""The estimated cost of an ingestion; nothing is stored or paid for.

What belongs here: the same reading, parsing and chunking as in an ingestion, but only for counts.
What does not: which documents an ingestion would process (`dagster.ingest`), or storing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.member_paths import member_path
from tvdb_assets.embedding.embedder_protocol import AnyEmbedder, PaidEmbedder, paid_embedder
from tvdb_assets.errors import SourceError, TvdbError
from tvdb_assets.ingestion.batch_collection import document_price
from tvdb_assets.ingestion.containers import in_batches
from tvdb_assets.ingestion.current_index_sync import current_index_pipeline
from tvdb_assets.ingestion.document_state import suffix_of
from tvdb_assets.models import Chunk, SourceFile, VectorSpace
from tvdb_assets.parsing.container_members import (
    ContainerBudget,
    check_extracted,
    check_listing,
    extract_members,
    list_members,
)
from tvdb_assets.parsing.parse_tasks import (
    ContainerFile,
    PreparedDocument,
    chunk_document,
    most_pages,
    prepare_document,
)
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.prices import Price

_BATCH = 32
_Finish = Callable[[], Iterator["DocumentCost"]]


@dataclass(frozen=True, slots=True)
class DocumentCost:
    """The estimated cost of one document."""

    document: str
    chunks: int = 0
    cached_chunks: int = 0
    """Chunks whose text has a vector already, or is embedded for another document."""
    tokens: int = 0
    """Exact cl100k tokens to embed."""
    pages: int = 0
    """Maximum number of pages for a paid parser."""
    cost_usd: Decimal = Decimal(0)
    parse_usd: Decimal = Decimal(0)
    """The part of ``cost_usd`` for parsing."""
    error: TvdbError | None = None
    """The error with which it would fail; it then costs nothing."""


class CostEstimator:
    """Estimates documents one by one; equal texts are counted once over all of them."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        index: IndexStore,
        router: ServiceRouter,
        chunker: Chunker,
        max_document_bytes: int,
        is_deferrable: bool = False,
    ) -> None:
        """Nothing is read yet; ``is_deferrable`` is that of the run, see `BatchCollector`."""
        self.is_deferrable = is_deferrable
        self._store = store
        self._router = router
        self._chunker = chunker
        self._max_bytes = max_document_bytes
        self._index = index
        self._current = current_index_pipeline(index.indexes, router, chunker)
        self._counted_texts: set[tuple[VectorSpace, bytes]] = set()

    def run(self, source: Source, paths: Sequence[str]) -> Iterator[DocumentCost]:
        """Yield the estimated cost of each document, in order.

        Args:
            source: the source of the documents.
            paths: paths of the documents, relative to the source.
        """
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            found = source.fetch_all(batch, max_bytes=self._max_bytes)
            started = [self._start(*read) for read in zip(batch, found, strict=True)]
            for finish in started:
                yield from finish()

    def _start(self, path: str, read: tuple[SourceFile, bytes] | SourceError) -> _Finish:
        """Submit a file to the workers; returns a function that waits for them."""
        if isinstance(read, SourceError):
            failed = DocumentCost(path, error=read)
            return lambda: iter((failed,))
        _, data = read
        limits = self._router.clients.document_limits
        budget = ContainerBudget(1, limits.max_members, limits.max_expanded_mib << 20)
        return self._begin(data, path, None, budget)

    def _begin(
        self, data: bytes, path: str, media_type: str | None, budget: ContainerBudget
    ) -> _Finish:
        router, workers = self._router, self._router.services.workers
        stored = self._store.texts.find_text(
            sha256(data).digest(),
            router.clients.parser_fingerprint,
            media_type or suffix_of(path),
            router.clients.paid_prefix,
        )
        prepared: Future[PreparedDocument] | Future[PreparedDocument | ContainerFile]
        if stored is not None:
            prepared = workers.submit(chunk_document, stored, self._chunker)
            return lambda: self._finish(data, path, prepared, None, budget)
        mode = router.clients.free_parser_mode.value
        prepared = workers.submit(
            prepare_document, data, path, mode, self._chunker, False, media_type
        )
        paid = router.clients.paid_parser
        pages = None
        if paid is not None:
            pages = workers.submit(most_pages, data, path, paid.media_types, media_type)
        return lambda: self._finish(data, path, prepared, pages, budget)

    def _finish(
        self,
        data: bytes,
        path: str,
        future: Future[PreparedDocument] | Future[PreparedDocument | ContainerFile],
        pages: Future[int] | None,
        budget: ContainerBudget,
    ) -> Iterator[DocumentCost]:
        """Yield the cost of a document, and then the costs of its members."""
        try:
            page_count = pages.result() if pages is not None else 0
            prepared = future.result()
        except TvdbError as error:
            yield DocumentCost(path, error=error)
            return
        if isinstance(prepared, ContainerFile):
            yield from self._members(data, path, prepared.media_type, budget)
            return
        yield self._cost_of(path, prepared, page_count)
        if prepared.has_members:
            yield from self._members(data, path, prepared.parsed.media_type, budget)

    def _members(
        self, data: bytes, path: str, media_type: str, budget: ContainerBudget
    ) -> Iterator[DocumentCost]:
        workers = self._router.services.workers
        try:
            members = workers.submit(list_members, data, media_type, budget).result()
            check_listing(members, budget, self._router.clients.document_limits.max_depth)
            left = budget.bytes - sum(member.size for member in members)
            deeper = ContainerBudget(budget.level + 1, budget.members - len(members), left)
            for batch in in_batches(members, lambda member: member.size):
                good = [member for member in batch if member.error is None]
                positions = [member.position for member in good]
                taken = workers.submit(extract_members, data, media_type, positions).result()
                check_extracted(taken, good)
                started = [
                    self._begin(content, member_path(path, m.name), m.media_type, deeper)
                    for m, content in zip(good, taken, strict=True)
                ]
                for finish in started:
                    yield from finish()
                for m in batch:
                    if m.error is not None:
                        yield DocumentCost(member_path(path, m.name), error=m.error)
        except TvdbError as error:
            yield DocumentCost(path, error=error)

    def _cost_of(self, path: str, prepared: PreparedDocument, page_count: int) -> DocumentCost:
        if prepared.error is not None:
            return DocumentCost(path, error=prepared.error)
        chunks = prepared.chunks or ()
        cost = parse = Decimal(0)
        current_tokens = 0
        current = self._current
        # The index that search reads is kept up to date while the run's own is built.
        if current is not None and (paid := paid_embedder(current.embedder)) is not None:
            try:
                workers = self._router.services.workers
                cut = workers.submit(chunk_document, prepared.parsed, current.chunker)
                theirs = cut.result().chunks or ()
            except TvdbError as error:
                return DocumentCost(path, error=error)
            current_tokens = sum(self._fresh(paid, theirs).values())
            cost += self._price(paid).of(current_tokens)
        embedder = self._router.clients.embedder
        fresh = self._fresh(embedder, chunks)
        tokens = sum(fresh.values())
        if page_count and self._router.clients.paid_parser is not None:
            parse = self._router.clients.paid_parser.price.of(page_count)
        if (paid := paid_embedder(embedder)) is not None:
            cost += self._price(paid).of(tokens)
        return DocumentCost(
            path,
            chunks=len(chunks),
            cached_chunks=len(chunks) - len(fresh),
            tokens=tokens + current_tokens,
            pages=page_count,
            cost_usd=cost + parse,
            parse_usd=parse,
        )

    def _price(self, embedder: PaidEmbedder) -> Price:
        settings = self._router.settings
        return document_price(embedder, settings, is_deferrable=self.is_deferrable)

    def _fresh(self, embedder: AnyEmbedder, chunks: Sequence[Chunk]) -> dict[bytes, int]:
        """The token counts of texts to embed that no earlier document has, by sha256."""
        space, paid = embedder.space, paid_embedder(embedder)
        fresh = {
            c.sha256: c.token_count for c in chunks if (space, c.sha256) not in self._counted_texts
        }
        request = paid.request_fingerprint if paid is not None else None
        for known in self._index.known_texts(space, list(fresh), request):
            del fresh[known]
        self._counted_texts.update((space, sha256) for sha256 in fresh)
        return fresh
