"""A large index for benchmarks of search: its documents, and how they get into the tables.

What belongs here: texts, vectors and questions by number, and the statements that store them. What
does not: what is measured (`search.py`, `search_during_writes.py`).

The texts have 250 words that are distributed as in natural language (Zipf); one document of twenty
is written without spaces. Vectors lie around centers that stand for topics. Chunks are written
straight into the tables, and their words as by an ingestion. The vectors are labelled as those of a
paid model and so are the vectors of questions, as if they had been paid for: a search reads them,
and calls no service.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.word_segments import compact
from tvdb_assets.repositories.word_store import SetText, count_words, store_words

PER_DOCUMENT = 20
MODEL = "text-embedding-3-small"
_WORDS, _VOCABULARY, _CHARACTERS = 250, 200_000, 4_000
_BATCH = 2_000
_PROVENANCE = ("test", "real", "test", "1", False, "run")
_TYPES = (*("application/pdf",) * 7, "text/plain", "text/plain", "text/html")
Vector = NDArray[np.float32]


class Corpus:
    """Texts and vectors by number; the same in every run."""

    def __init__(self, chunks: int, dimensions: int) -> None:
        self.chunks, self.dimensions = chunks, dimensions
        random = np.random.default_rng(7)
        self._centers = random.normal(size=(max(50, chunks // 200), dimensions))
        self._shares, self._common = _zipf(_VOCABULARY), _zipf(_CHARACTERS)
        letters = np.array(list("etaoinshrdlucmfwypvbgk"))
        self._vocabulary = np.array(
            [
                "".join(random.choice(letters, 2 + (rank > 50) * random.integers(1, 8)))
                for rank in range(1, _VOCABULARY + 1)
            ]
        )

    def batch(self, start: int, count: int) -> tuple[list[str], Vector]:
        """Texts and vectors of some chunks; ``start`` is the first one of a document."""
        random = np.random.default_rng(start)
        words = random.choice(_VOCABULARY, (count, _WORDS), p=self._shares)
        texts = [" ".join(self._vocabulary[row]) for row in words]
        for at in range(count):
            if language((start + at) // PER_DOCUMENT) == "zh":
                found = random.choice(_CHARACTERS, 2 * _WORDS, p=self._common)
                texts[at] = "".join(map(chr, found + 0x4E00))
        topics = self._centers[random.integers(len(self._centers), size=count)]
        return texts, _unit(topics + 0.8 * random.normal(size=(count, self.dimensions)))

    def questions(self, count: int, shortest: int, longest: int) -> list[tuple[str, Vector]]:
        """Questions of some words of a chunk, with a vector near that chunk's."""
        random = np.random.default_rng(longest)
        found: list[tuple[str, Vector]] = []
        while len(found) < count:
            start = int(random.integers(max(1, self.chunks // _BATCH))) * _BATCH
            texts, vectors = self.batch(start, min(_BATCH, self.chunks))
            for at in random.integers(len(texts), size=8):
                length = int(random.integers(shortest, longest + 1))
                parts, gap = (texts[at].split(), " ") if " " in texts[at] else (texts[at], "")
                first = int(random.integers(max(1, len(parts) - length)))
                noise = 0.05 * random.normal(size=self.dimensions)
                vector = _unit((vectors[at] + noise)[None])[0]
                found.append((gap.join(parts[first : first + length]), vector))
        return found[:count]

    def common_words(self, count: int) -> list[tuple[str, Vector]]:
        """Questions of words that most chunks have."""
        random = np.random.default_rng(3)
        return [
            (" ".join(random.choice(self._vocabulary[:30], 6)), vector)
            for _, vector in self.questions(count, 3, 8)
        ]

    def unspaced(self, count: int) -> list[tuple[str, Vector]]:
        """Questions in a language without spaces."""
        random = np.random.default_rng(4)
        return [
            ("".join(map(chr, random.choice(_CHARACTERS, 12, p=self._common) + 0x4E00)), vector)
            for _, vector in self.questions(count, 3, 8)
        ]

    @property
    def label(self) -> str:
        """The label of the vector space."""
        return f"openai/{MODEL}@{self.dimensions}#v1"


def language(document: int) -> str:
    """The language of a document, by its number from 0."""
    return "zh" if document % 20 == 19 else "de" if document % 5 == 1 else "en"


def load(database: Database, corpus: Corpus, *, versions: bool = False) -> tuple[float, float]:
    """Store and publish the chunks; returns the seconds for chunks and vectors, and for words.

    Args:
        database: empty.
        corpus: what is stored.
        versions: store each document twice, in two indexes of one vector space.
    """
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.vector_spaces (label, provider, model, dimensions, version, is_mock,"
            " is_fallback, run_id) VALUES (%s, 'openai', %s, %s, 'v1', false, false, 'run')",
            (corpus.label, MODEL, corpus.dimensions),
        )
        tx.execute(
            "INSERT INTO tvdb.indexes (space_id, chunker, is_current, switched_at, run_id)"
            " SELECT space_id, chunker, chunker = 'test', now(), 'run'"
            " FROM tvdb.vector_spaces, unnest(%s::text[]) AS n(chunker)",
            (["test", "other"][: 1 + versions],),
        )
    seconds = [0.0, 0.0]
    for start in range(0, corpus.chunks, _BATCH):
        texts, vectors = corpus.batch(start, min(_BATCH, corpus.chunks - start))
        add(database, start, texts, vectors, seconds)
        if versions:
            texts = [text[: len(text) // 2] for text in texts]
            vectors = _unit(vectors + 0.2 * np.random.default_rng(start).normal(size=vectors.shape))
            add(database, start, texts, vectors, seconds, index=2, chunker="other")
    compact(database, is_forced=True)
    return seconds[0], seconds[1]


def add(
    database: Database,
    start: int,
    texts: list[str],
    vectors: Vector,
    seconds: list[float],
    *,
    index: int = 1,
    chunker: str = "test",
) -> None:
    """Store and publish chunks with their words in one transaction, as an ingestion does.

    Args:
        database: contains the index.
        start: number of the first chunk, which is the first one of a document.
        texts: of the chunks.
        vectors: of the chunks.
        seconds: of chunks and vectors, and of words; are increased.
        index: the index that they are published in.
        chunker: of the chunks; the documents are new if it is ``test``.
    """
    began = time.perf_counter()
    firsts = range(0, len(texts), PER_DOCUMENT)
    counted = count_words(
        [
            SetText(part, [""] * len(part), language((start + at) // PER_DOCUMENT))
            for at in firsts
            if (part := texts[at : at + PER_DOCUMENT])
        ]
    )
    words = time.perf_counter() - began
    with database.transaction() as tx:
        set_ids = _store(tx, start, texts, vectors, chunker)
        stored = time.perf_counter()
        store_words(tx, counted, set_ids)
        tx.execute("UPDATE tvdb.chunk_sets SET has_words = true WHERE NOT has_words")
        words += time.perf_counter() - stored
        tx.execute(
            "INSERT INTO tvdb.publications (document_id, index_id, chunk_set_id, run_id)"
            " SELECT document_id, %s, chunk_set_id, 'run' FROM tvdb.chunk_sets"
            " WHERE chunk_set_id = ANY(%s) ON CONFLICT (document_id, index_id)"
            " DO UPDATE SET chunk_set_id = excluded.chunk_set_id",
            (index, set_ids),
        )
    merged = time.perf_counter()
    compact(database)
    seconds[1] += words + time.perf_counter() - merged
    seconds[0] += merged - began - words


def store_question_vectors(database: Database, questions: list[tuple[str, Vector]]) -> None:
    """Store the vectors of questions as if they had been paid for."""
    with database.transaction() as tx, tx.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO tvdb.question_vectors (run_id, question_sha256, embedding, space_id)"
            " VALUES ('run', %s, %s, 1) ON CONFLICT DO NOTHING",
            [(sha256(text.encode()).digest(), vector) for text, vector in questions],
        )


def _store(
    tx: Connection, start: int, texts: list[str], vectors: Vector, chunker: str
) -> list[int]:
    numbers = range(start // PER_DOCUMENT, -(-(start + len(texts)) // PER_DOCUMENT))
    if chunker == "test":
        _store_documents(tx, numbers)
    ids = tx.execute(
        "INSERT INTO tvdb.chunk_sets (parsed_id, document_id, fingerprint, chunk_count,"
        " token_count, language, run_id) SELECT p.parsed_id, d.document_id, %s, %s, 1,"
        " n.language, 'run' FROM unnest(%s::text[], %s::text[]) AS n(key, language)"
        " JOIN tvdb.documents d ON d.partition_key = n.key"
        " JOIN tvdb.parsed_documents p ON p.document_id = d.document_id"
        " RETURNING chunk_set_id, document_id",
        (chunker, PER_DOCUMENT, [f"d{n}" for n in numbers], [language(n) for n in numbers]),
    ).fetchall()
    ids.sort()
    hashes = [sha256(text.encode()).digest() for text in texts]
    with tx.cursor().copy(
        "COPY tvdb.chunks (chunk_set_id, document_id, ordinal, start_offset, end_offset,"
        " heading_path, token_count, text_sha256, text, service, mode, model, version,"
        " is_degraded, run_id) FROM STDIN"
    ) as copy:
        for at, (text, digest) in enumerate(zip(texts, hashes, strict=True)):
            set_id, document_id = ids[at // PER_DOCUMENT]
            place = (set_id, document_id, at % PER_DOCUMENT, 0, len(text))
            copy.write_row((*place, [], 1, digest, text, *_PROVENANCE))
    with tx.cursor().copy(
        "COPY tvdb.embeddings (space_id, text_sha256, embedding, token_count, service, mode,"
        " model, version, is_degraded, run_id) FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.set_types(("int2", "bytea", "vector", "int4", *("text",) * 4, "bool", "text"))
        for digest, vector in zip(hashes, vectors, strict=True):
            copy.write_row((1, digest, vector, 1, *_PROVENANCE))
    return [set_id for set_id, _ in ids]


def _store_documents(tx: Connection, numbers: range) -> None:
    began = datetime(2023, 1, 1, tzinfo=UTC)
    with tx.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO tvdb.documents (partition_key, source, path, size, etag, status,"
            " modified_at, run_id) VALUES (%s, %s, %s, 1, '1', 'published', %s, 'run')",
            [
                (
                    f"d{n}",
                    "/mail" if n % 10 == 9 else "/archive",
                    f"folder{n % 50}/part{n % 1000}/d{n}.txt",
                    began + timedelta(days=n % 1000),
                )
                for n in numbers
            ],
        )
        cursor.executemany(
            "INSERT INTO tvdb.parsed_documents (document_id, content_sha256, fingerprint, suffix,"
            " text, media_type, is_markdown, page_starts, headings, notes, facts, service, mode,"
            " model, version, is_degraded, run_id) SELECT document_id, '', 'test', '.txt',"
            " repeat('text ', 200), %s, false, %s, %s, '{}', %s, 'test', 'local', 'test', '1',"
            " false, 'run' FROM tvdb.documents WHERE partition_key = %s",
            [
                (
                    "image/png" if n % 1000 == 7 else _TYPES[n % 10],
                    list(range(0, 30_000, 1_500)),
                    '[{"level": 1, "title": "General", "offset": 0}]',
                    f'{{"tables": {n % 7}}}',
                    f"d{n}",
                )
                for n in numbers
            ],
        )


def _zipf(count: int) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = 1 / (np.arange(1, count + 1) + 2.7)
    return shares / shares.sum()


def _unit(vectors: NDArray[np.float64]) -> Vector:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
