"""What a walk would cost, without making or paying for anything.

What belongs here: the same reading, parsing and chunking as of a walk, kept only as counts.
What does not: which documents an ingest would take (`ingest`), or storing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.member_paths import member_path
from tvdb_assets.embedding.embedder_protocol import paid_embedder
from tvdb_assets.errors import SourceError, TvdbError
from tvdb_assets.ingestion.containers import in_batches
from tvdb_assets.ingestion.current_index_sync import current_index_recipe
from tvdb_assets.ingestion.document_state import suffix_of
from tvdb_assets.models import Chunk, VectorSpace
from tvdb_assets.parsing.container_members import ContainerBudget, extract_members, list_members
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

_BATCH = 32
_Finish = Callable[[], Iterator["DocumentCost"]]


@dataclass(frozen=True, slots=True)
class DocumentCost:
    """What one document would cost."""

    document: str
    chunks: int = 0
    cached_chunks: int = 0
    """Chunks whose text has a vector already, or that another document pays for."""
    tokens: int = 0
    """To be embedded: exact cl100k tokens."""
    pages: int = 0
    """To be parsed by a paid service, at most."""
    cost_usd: Decimal = Decimal(0)
    parse_usd: Decimal = Decimal(0)
    """What of it is for parsing."""
    error: TvdbError | None = None
    """Why it would fail, and cost nothing."""


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
    ) -> None:
        """Nothing is read yet."""
        self._store = store
        self._router = router
        self._chunker = chunker
        self._max_bytes = max_document_bytes
        self._index = index
        self._searched = current_index_recipe(index.indexes, router, chunker)
        self._seen: set[tuple[VectorSpace, bytes]] = set()

    def run(self, source: Source, paths: Sequence[str]) -> Iterator[DocumentCost]:
        """What each document would cost, in order.

        Args:
            source: where they are.
            paths: of the documents, relative to it.
        """
        for start in range(0, len(paths), _BATCH):
            begun = [self._read(source, path) for path in paths[start : start + _BATCH]]
            for finish in begun:
                yield from finish()

    def _read(self, source: Source, path: str) -> _Finish:
        """Read a file and hand it to the workers; returns what waits for them."""
        try:
            data = source.read(path, max_bytes=self._max_bytes)
        except SourceError as error:
            failed = DocumentCost(path, error=error)
            return lambda: iter((failed,))
        limits = self._router.clients.limits
        room = ContainerBudget(1, limits.max_members, limits.max_expanded_mib << 20)
        return self._begin(data, path, None, room)

    def _begin(
        self, data: bytes, path: str, media_type: str | None, room: ContainerBudget
    ) -> _Finish:
        router, workers = self._router, self._router.services.workers
        stored = self._store.text_of(
            sha256(data).digest(), router.clients.parser_fingerprint, media_type or suffix_of(path)
        )
        made: Future[PreparedDocument] | Future[PreparedDocument | ContainerFile]
        if stored is not None:
            made = workers.submit(chunk_document, stored, self._chunker)
            return lambda: self._finish(data, path, made, None, room)
        mode = router.clients.free_parser_mode.value
        made = workers.submit(prepare_document, data, path, mode, self._chunker, False, media_type)
        paid = router.clients.paid_parser
        pages = None
        if paid is not None:
            pages = workers.submit(most_pages, data, path, paid.media_types, media_type)
        return lambda: self._finish(data, path, made, pages, room)

    def _finish(
        self,
        data: bytes,
        path: str,
        future: Future[PreparedDocument] | Future[PreparedDocument | ContainerFile],
        pages: Future[int] | None,
        room: ContainerBudget,
    ) -> Iterator[DocumentCost]:
        """What a document costs, and then what is inside of it."""
        try:
            page_count = pages.result() if pages is not None else 0
            made = future.result()
        except TvdbError as error:
            yield DocumentCost(path, error=error)
            return
        if isinstance(made, ContainerFile):
            yield from self._inside(data, path, made.media_type, room)
            return
        yield self._cost_of(path, made, page_count)
        if made.has_members:
            yield from self._inside(data, path, made.parsed.media_type, room)

    def _inside(
        self, data: bytes, path: str, media_type: str, room: ContainerBudget
    ) -> Iterator[DocumentCost]:
        workers = self._router.services.workers
        try:
            members = workers.submit(list_members, data, media_type, room).result()
            left = room.bytes - sum(member.size for member in members)
            deeper = ContainerBudget(room.level + 1, room.members - len(members), left)
            for batch in in_batches(members, lambda member: member.size):
                good = [member for member in batch if member.error is None]
                positions = [member.position for member in good]
                taken = workers.submit(extract_members, data, media_type, positions).result()
                begun = [
                    self._begin(content, member_path(path, m.name), m.media_type, deeper)
                    for m, content in zip(good, taken, strict=True)
                ]
                for finish in begun:
                    yield from finish()
                for m in batch:
                    if m.error is not None:
                        yield DocumentCost(member_path(path, m.name), error=m.error)
        except TvdbError as error:
            yield DocumentCost(path, error=error)

    def _cost_of(self, path: str, made: PreparedDocument, page_count: int) -> DocumentCost:
        if made.error is not None:
            return DocumentCost(path, error=made.error)
        chunks = made.chunks or ()
        cost = parse = Decimal(0)
        also = 0
        searched = self._searched
        # Kept fresh for search while the run's own is built beside it.
        if searched is not None and (paid := paid_embedder(searched.embedder)) is not None:
            try:
                workers = self._router.services.workers
                cut = workers.submit(chunk_document, made.parsed, searched.chunker)
                theirs = cut.result().chunks or ()
            except TvdbError as error:
                return DocumentCost(path, error=error)
            also = sum(self._fresh(paid.space, theirs).values())
            cost += paid.price.of(also)
        embedder = self._router.clients.embedder
        fresh = self._fresh(embedder.space, chunks)
        tokens = sum(fresh.values())
        if page_count and self._router.clients.paid_parser is not None:
            parse = self._router.clients.paid_parser.price.of(page_count)
        if (paid := paid_embedder(embedder)) is not None:
            cost += paid.price.of(tokens)
        return DocumentCost(
            path,
            chunks=len(chunks),
            cached_chunks=len(chunks) - len(fresh),
            tokens=tokens + also,
            pages=page_count,
            cost_usd=cost + parse,
            parse_usd=parse,
        )

    def _fresh(self, space: VectorSpace, chunks: Sequence[Chunk]) -> dict[bytes, int]:
        """Texts of these chunks that no one has a vector for or pays for, with their tokens."""
        fresh = {c.sha256: c.token_count for c in chunks if (space, c.sha256) not in self._seen}
        for known in self._index.known_texts(space, list(fresh)):
            del fresh[known]
        self._seen.update((space, sha256) for sha256 in fresh)
        return fresh
