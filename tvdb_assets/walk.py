"""The walk of documents through their stages, free of any orchestrator.

What belongs here: which document needs which stage, in batches that are each stored whole,
so that a crash loses at most one batch of free work and nothing that was paid for. What does
not: how a stage works (`services`, `pipeline`), SQL (`storage`), Dagster (`assets`).

A document's failure is a value here (`Result.error`), never an exception: its neighbours in
the batch go on. What does raise is what no document can help, such as a lost database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath
from time import perf_counter
from typing import TypeAlias

from tvdb_assets.errors import ChunkError, DocumentError, ParseError, SourceError, TvdbError
from tvdb_assets.models import ParsedDocument, SourceFile, Stage
from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.pipeline.vectors import check_vectors
from tvdb_assets.services.preparing import Prepared, chunk_document, prepare_document
from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.storage.documents import (
    DocumentRow,
    DocumentStore,
    Failure,
    NewChunkSet,
    NewParse,
    StoredChunkSet,
)
from tvdb_assets.storage.source import Source

BATCH_DOCUMENTS = 64
"""Documents stored in one go: a round trip's cost is spread, a crash repeats little."""
BATCH_BYTES = 16 << 20
"""Source bytes held at once; bounds memory whatever the number of documents."""
EMBED_TEXTS = 1_024
"""Texts embedded and stored in one go: 6 MB of vectors of 1,536 dimensions."""

Metadata = Mapping[str, int | float | str | bool]


@dataclass(frozen=True, slots=True)
class Result:
    """How one stage of one document ended."""

    partition_key: str
    path: str
    stage: Stage
    error: TvdbError | None = None
    is_unchanged: bool = False
    """What was stored already is still right; nothing was made."""
    metadata: Metadata = field(default_factory=dict)
    """Counts, seconds and names; never document text."""


@dataclass(slots=True)
class _Traveller:
    """A document on its way through the stages of one batch."""

    row: DocumentRow
    source: SourceFile | None = None
    content_sha256: bytes | None = None
    fingerprint: str = ""
    data: bytes | None = None
    future: Future[Prepared] | None = None
    borrowed: ParsedDocument | None = None
    parsed_id: int | None = None
    is_parse_new: bool = False
    chunk_set: StoredChunkSet | None = None
    is_chunk_set_new: bool = False
    error: TvdbError | None = None
    failed_at: Stage | None = None
    metadata: dict[Stage, dict[str, int | float | str | bool]] = field(default_factory=dict)

    def fail(self, stage: Stage, error: TvdbError) -> None:
        self.error, self.failed_at = error.about(self.row.path), stage

    def note(self, stage: Stage, **values: int | float | str | bool) -> None:
        self.metadata.setdefault(stage, {}).update(values)


_Claimed: TypeAlias = tuple[list[_Traveller], ExitStack]


class Walk:
    """Takes registered documents through some or all stages.

    One for each run: it owns nothing that outlives the call of `run`.
    """

    def __init__(
        self,
        *,
        store: DocumentStore,
        sources: Callable[[str], Source],
        router: ServiceRouter,
        chunker: Chunker,
        max_document_bytes: int,
    ) -> None:
        """Nothing is opened or started yet."""
        self._store = store
        self._sources = sources
        self._router = router
        self._chunker = chunker
        self._max_bytes = max_document_bytes
        self.embedded_texts = 0
        self.cached_texts = 0

    def run(
        self, partition_keys: Sequence[str], stages: frozenset[Stage] = frozenset(Stage)
    ) -> Iterator[list[Result]]:
        """Walk these documents; yields the results of each batch once it is stored.

        Raises:
            StorageError: the database is lost.
            ServiceError: a service as a whole can't be used.
        """
        space_id = None
        if Stage.EMBEDDINGS in stages:
            embedder = self._router.embedder
            space_id = self._store.space_id(embedder.space, is_mock=embedder.made_by.mode == "mock")
        # While one batch is stored and embedded, the workers parse and chunk the next.
        with ExitStack() as claims:
            ahead: _Claimed | None = None
            for batch in self._batches(partition_keys):
                claim = claims.enter_context(ExitStack())
                claim.enter_context(self._store.claim([t.row.document_id for t in batch]))
                self._find_stored(batch, stages)
                self._submit(batch, stages)
                if ahead is not None:
                    yield self._finish(ahead, stages, space_id)
                ahead = (batch, claim)
            if ahead is not None:
                yield self._finish(ahead, stages, space_id)
        if space_id is not None:
            self._store.promote_space(space_id)

    def _finish(
        self, claimed: _Claimed, stages: frozenset[Stage], space_id: int | None
    ) -> list[Result]:
        batch, claim = claimed
        with claim:
            self._store_prepared(self._collect(batch))
            if space_id is not None:
                asyncio.run(self._embed(batch, space_id))
                self._publish(batch, space_id)
            self._record(batch, stages)
        return [result for t in batch for result in _results(t, stages)]

    def _batches(self, partition_keys: Sequence[str]) -> Iterator[list[_Traveller]]:
        # All runs claim in the order of the ids, so that no two wait for each other. A document
        # that was forgotten since the run was planned has no row: there is nothing to do.
        rows = sorted(self._store.rows(partition_keys), key=lambda row: row.document_id)
        batch: list[_Traveller] = []
        size = 0
        for row in rows:
            if batch and (len(batch) == BATCH_DOCUMENTS or size + row.size > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(_Traveller(row))
            size += row.size
        if batch:
            yield batch

    def _find_stored(self, batch: list[_Traveller], stages: frozenset[Stage]) -> None:
        """Look up what each document has already, reading its bytes only if it is to be parsed."""
        if Stage.PARSED_DOCUMENTS in stages:
            for t in batch:
                self._read(t)
            wanted = [
                (t.row.document_id, t.content_sha256, t.fingerprint, _suffix(t.row.path))
                for t in batch
                if t.content_sha256 is not None
            ]
            own, borrowed = self._store.parses(wanted)
            for t in batch:
                if (mine := own.get(t.row.document_id)) is not None:
                    t.parsed_id = mine.parsed_id
                elif (other := borrowed.get(t.row.document_id)) is not None:
                    t.borrowed = other[1]
        else:
            latest = self._store.latest_parses([t.row.document_id for t in batch])
            for t in batch:
                if (mine := latest.get(t.row.document_id)) is not None:
                    t.parsed_id = mine.parsed_id
                else:
                    t.fail(min(stages, key=list(Stage).index), _not_made("parsed_documents"))
        parsed_ids = [t.parsed_id for t in batch if t.parsed_id is not None]
        is_chunking = Stage.CHUNKS in stages
        if not is_chunking and Stage.EMBEDDINGS not in stages:
            return
        sets = self._store.chunk_sets(
            parsed_ids, self._chunker.fingerprint if is_chunking else None
        )
        for t in batch:
            if t.parsed_id is not None:
                t.chunk_set = sets.get(t.parsed_id)
            if t.error is None and t.chunk_set is None and not is_chunking:
                t.fail(Stage.EMBEDDINGS, _not_made("chunks"))

    def _read(self, t: _Traveller) -> None:
        try:
            source = self._sources(t.row.source)
            t.source = source.stat(t.row.path)
            data = source.read(t.row.path, max_bytes=self._max_bytes)
        except SourceError as error:
            t.fail(Stage.PARSED_DOCUMENTS, error)
            return
        t.content_sha256 = sha256(data).digest()
        t.fingerprint = self._router.parser_fingerprint(data, t.row.path)
        t.data = data

    def _submit(self, batch: list[_Traveller], stages: frozenset[Stage]) -> None:
        """Hand to the worker processes what is to be parsed or chunked."""
        chunker = self._chunker if Stage.CHUNKS in stages else None
        for t in batch:
            if t.error is not None:
                continue
            if t.parsed_id is None and t.borrowed is None:
                assert t.data is not None
                t.future = self._router.workers.submit(
                    prepare_document, t.data, t.row.path, self._router.parser_mode.value, chunker
                )
            elif chunker is not None and t.chunk_set is None:
                parsed = t.borrowed or self._store.parsed(t.parsed_id or 0)
                t.future = self._router.workers.submit(chunk_document, parsed, chunker)
            t.data = None  # the workers have it; holding it here would double the memory

    def _collect(self, batch: list[_Traveller]) -> list[tuple[_Traveller, Prepared]]:
        """Wait for the workers; a document that they could not prepare fails alone."""
        prepared: list[tuple[_Traveller, Prepared]] = []
        for t in batch:
            if t.future is not None:
                try:
                    prepared.append((t, t.future.result()))
                except DocumentError as error:
                    t.fail(_stage_of(error), error)
                t.future = None
            elif t.borrowed is not None and t.error is None:
                prepared.append((t, Prepared(t.borrowed)))
        return prepared

    def _store_prepared(self, prepared: list[tuple[_Traveller, Prepared]]) -> None:
        parses = []
        for t, made in prepared:
            if t.parsed_id is None:
                assert t.content_sha256 is not None
                t.is_parse_new = True
                parses.append(
                    NewParse(
                        t.row.document_id,
                        t.content_sha256,
                        t.fingerprint,
                        _suffix(t.row.path),
                        made.parsed,
                    )
                )
                t.note(Stage.PARSED_DOCUMENTS, **_parse_metadata(made))
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
        stored = self._store.store_chunk_sets(sets, self._chunker.made_by)
        for t, _ in prepared:
            t.chunk_set = stored.get(t.row.document_id, t.chunk_set)

    async def _embed(self, batch: list[_Traveller], space_id: int) -> None:
        """Embed each text that the space does not know, and store it as it arrives."""
        embedder = self._router.embedder
        walking = [t for t in batch if t.error is None and t.chunk_set is not None]
        sets = [t.chunk_set.chunk_set_id for t in walking if t.chunk_set is not None]
        refused: dict[bytes, TvdbError] = {}
        embedded = 0
        started = perf_counter()
        while texts := self._store.texts_without_vector(space_id, sets, list(refused), EMBED_TEXTS):
            vectors = await embedder.embed([text for _, text, _ in texts])
            bad = dict(check_vectors(vectors, len(texts), embedder.space.dimensions))
            refused.update({texts[i][0]: error for i, error in bad.items()})
            good = [i for i in range(len(texts)) if i not in bad]
            self._store.store_vectors(
                space_id,
                [(texts[i][0], texts[i][2]) for i in good],
                vectors[good],
                embedder.made_by,
            )
            embedded += len(good)
        seconds = perf_counter() - started
        if refused:
            by_id = {t.row.document_id: t for t in walking}
            for document_id, text in self._store.documents_with_text(sets, list(refused)):
                by_id[document_id].fail(Stage.EMBEDDINGS, refused[text])
        chunks = sum(t.chunk_set.chunk_count for t in walking if t.chunk_set is not None)
        self.embedded_texts += embedded
        self.cached_texts += max(0, chunks - embedded - len(refused))
        for t in walking:
            if t.chunk_set is not None:
                share = t.chunk_set.chunk_count / max(1, chunks)
                t.note(
                    Stage.EMBEDDINGS,
                    chunks=t.chunk_set.chunk_count,
                    tokens=t.chunk_set.token_count,
                    dimensions=embedder.space.dimensions,
                    vector_space=embedder.space.label,
                    mode=embedder.made_by.mode,
                    seconds=round(seconds * share, 4),
                )

    def _publish(self, batch: list[_Traveller], space_id: int) -> None:
        ready = {t.row.document_id: t for t in batch if t.error is None and t.chunk_set is not None}
        sets = [t.chunk_set for t in ready.values() if t.chunk_set is not None]
        changed = self._store.publish(space_id, sets)
        for document_id, t in ready.items():
            t.note(Stage.EMBEDDINGS, unchanged=document_id not in changed)

    def _record(self, batch: list[_Traveller], stages: frozenset[Stage]) -> None:
        """Write how each document ended; what `_publish` wrote stands."""
        self._store.record_contents(
            {
                t.row.document_id: (t.source.size, t.source.etag, t.content_sha256)
                for t in batch
                if t.source is not None and t.content_sha256 is not None
            }
        )
        self._store.record_failures(
            [
                Failure(t.row.document_id, t.failed_at, t.error)
                for t in batch
                if t.error is not None and t.failed_at is not None
            ]
        )
        if Stage.EMBEDDINGS not in stages:
            last = max(stages, key=list(Stage).index)
            advanced = [t.row.document_id for t in batch if t.error is None]
            self._store.mark_advanced(advanced, last)


def _results(t: _Traveller, stages: frozenset[Stage]) -> Iterator[Result]:
    """One result a stage: a failed stage fails those after it, for the same reason."""
    is_failed = False
    for stage in Stage:
        is_failed = is_failed or stage is t.failed_at
        if stage not in stages:
            continue
        metadata = dict(t.metadata.get(stage, {}))
        if stage is Stage.CHUNKS and t.chunk_set is not None:
            metadata.update(chunks=t.chunk_set.chunk_count, tokens=t.chunk_set.token_count)
        yield Result(
            t.row.partition_key,
            t.row.path,
            stage,
            error=t.error if is_failed else None,
            is_unchanged={
                Stage.PARSED_DOCUMENTS: not t.is_parse_new,
                Stage.CHUNKS: not t.is_chunk_set_new,
                Stage.EMBEDDINGS: bool(metadata.pop("unchanged", False)),
            }[stage],
            metadata=metadata,
        )


def _parse_metadata(made: Prepared) -> dict[str, int | float | str | bool]:
    parsed = made.parsed
    return {
        "characters": len(parsed.text),
        "pages": len(parsed.page_starts),
        "headings": len(parsed.headings),
        "media_type": parsed.media_type,
        "service": parsed.made_by.service,
        "seconds": round(made.parse_seconds, 4),
        **parsed.facts,
    }


def _not_made(what: str) -> DocumentError:
    kind = ParseError if what == "parsed_documents" else ChunkError
    return kind(
        f"{what}_missing",
        f"There are no {what} of this document yet.",
        remedy=f"Materialize {what} for it first.",
    )


def _stage_of(error: TvdbError) -> Stage:
    return Stage.CHUNKS if isinstance(error, ChunkError) else Stage.PARSED_DOCUMENTS


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
