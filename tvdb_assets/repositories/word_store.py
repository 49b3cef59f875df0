"""The word index: storing the words of chunks in the transaction of the caller.

What belongs here: new segments. What does not: merging them (`word_segments`), the words of a text
(`core.words`), the form of a segment (`core.word_postings`), or ranking (`retrieval`).

The words of new chunks are stored as one segment in the transaction that stores the chunks.
Segments are never changed; `word_segments` merges small ones. Triggers record which sets become
visible or invisible in an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import psycopg
from numpy.typing import NDArray

from tvdb_assets.core.languages import detect_language
from tvdb_assets.core.word_postings import MOST_CHUNKS, Postings, bucket_bits, encode_buckets
from tvdb_assets.core.words import normalize, split_words, term_cache

Connection: TypeAlias = psycopg.Connection[Any]
"""As in `database`, which imports this module."""
_FILL_SETS = 200
"""Chunk sets whose words are stored in one transaction when they have none yet."""


@dataclass(frozen=True, slots=True)
class SetText:
    """The texts of a chunk set whose words are stored."""

    texts: Sequence[str]
    """For each chunk, the text that is searched, with its repeated header."""
    context: Sequence[str]
    """For each chunk, its title and headings, which are searched too."""
    language: str | None
    """See `language_of`."""


def language_of(texts: Sequence[str]) -> str | None:
    """The language of a document; see `core.languages`."""
    return detect_language(texts)


@dataclass(frozen=True, slots=True)
class CountedWords:
    """The words of some chunk sets, ready to be stored as one segment."""

    postings: Postings
    lengths: NDArray[np.uint16]
    """Words of each chunk."""
    languages: Sequence[str]
    chunk_counts: Sequence[int]
    """Chunks of each set."""


def count_words(sets: Sequence[SetText]) -> list[CountedWords]:
    """The words of chunk sets, as one segment, or a few if they are many.

    The words of a long document take seconds: count them before a transaction, whose locks would be
    held meanwhile, and which the server ends if it is idle for long.
    """
    groups: list[list[SetText]] = []
    size = MOST_CHUNKS
    for each in sets:
        if size + len(each.texts) > MOST_CHUNKS:
            groups.append([])
            size = 0
        groups[-1].append(each)
        size += len(each.texts)
    return [_counted(group) for group in groups if any(each.texts for each in group)]


def store_words(tx: Connection, counted: Sequence[CountedWords], set_ids: Sequence[int]) -> None:
    """Store the words of chunk sets.

    Args:
        tx: the transaction.
        counted: what `count_words` gave.
        set_ids: id of each chunk set, in the order in which they were counted.
    """
    left = iter(set_ids)
    for segment in counted:
        firsts = np.cumsum([0, *segment.chunk_counts[:-1]]).tolist()
        rows = [
            (set_id, first, count)
            for first, count, set_id in zip(firsts, segment.chunk_counts, left, strict=False)
        ]
        _write_segment(tx, segment.postings, segment.lengths, segment.languages, rows)


def _counted(sets: Sequence[SetText]) -> CountedWords:
    hashes: list[int] = []
    occurrences: list[int] = []
    lengths: list[int] = []
    for each in sets:
        terms = term_cache(each.language)
        for text, context in zip(each.texts, each.context, strict=True):
            before = len(hashes)
            words = split_words(normalize(f"{context}\n{text}" if context else text))
            for word in words:
                hashes += terms(word)
            occurrences.append(len(hashes) - before)
            lengths.append(min(len(words), 65_535))
    positions = np.repeat(np.arange(len(lengths), dtype=np.uint32), occurrences)
    postings = Postings.of(np.array(hashes, np.uint64), positions)
    languages = sorted({each.language or "" for each in sets})
    counts = [len(each.texts) for each in sets]
    return CountedWords(postings, np.array(lengths, "<u2"), languages, counts)


def _write_segment(
    tx: Connection,
    postings: Postings,
    lengths: NDArray[np.uint16],
    languages: Sequence[str],
    sets: Sequence[tuple[int, int, int]],
) -> None:
    """Write a segment whose postings are all in memory; ``sets`` are new rows of `word_sets`."""
    bits = bucket_bits(postings)
    segment_id = _new_segment(tx, len(lengths), bits, languages, lengths)
    write_buckets(tx, segment_id, postings, bits, is_wide=len(lengths) > MOST_CHUNKS)
    with tx.cursor().copy(
        "COPY tvdb.word_sets (chunk_set_id, segment_id, first_position, chunk_count)"
        " FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.set_types(("int8", "int8", "int4", "int4"))
        for set_id, first, count in sets:
            copy.write_row((set_id, segment_id, first, count))


def write_buckets(
    tx: Connection, segment_id: int, postings: Postings, bits: int, *, is_wide: bool
) -> None:
    """Write buckets of a segment.

    Args:
        tx: the transaction.
        segment_id: id of the segment.
        postings: whole buckets.
        bits: number of bits of a hash that select its bucket.
        is_wide: whether positions take 4 bytes.
    """
    with tx.cursor().copy(
        "COPY tvdb.word_postings (segment_id, bucket, postings) FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.set_types(("int8", "int4", "bytea"))
        for bucket, data in encode_buckets(postings, bits, is_wide=is_wide):
            copy.write_row((segment_id, bucket, data))


def _new_segment(
    tx: Connection,
    chunk_count: int,
    bits: int,
    languages: Sequence[str],
    lengths: NDArray[np.uint16],
) -> int:
    row = tx.execute(
        "INSERT INTO tvdb.word_segments (chunk_count, bucket_bits, languages, lengths)"
        " VALUES (%s, %s, %s, %s) RETURNING segment_id",
        (chunk_count, bits, list(languages), lengths.tobytes()),
    ).fetchone()
    assert row is not None
    return int(row[0])


def fill_in(tx: Connection, at_least: int = 1) -> int:
    """Store the words of chunk sets that have none, as after an upgrade; returns how many.

    Args:
        tx: the transaction.
        at_least: do nothing if fewer chunk sets have no words.

    Returns:
        The number of chunk sets whose words were stored, at most 200; call again for the rest.
    """
    # Sets that another process has locked are skipped. The lock excludes a publication, which
    # would not find the position of its set.
    ids = tx.execute(
        "SELECT chunk_set_id FROM tvdb.chunk_sets WHERE NOT has_words"
        " ORDER BY chunk_set_id LIMIT %s FOR UPDATE SKIP LOCKED",
        (_FILL_SETS,),
    ).fetchall()
    if not ids or len(ids) < at_least:
        return 0
    set_ids = [row[0] for row in ids]
    texts: dict[int, tuple[list[str], list[str]]] = {set_id: ([], []) for set_id in set_ids}
    for set_id, text, title, headings in tx.execute(
        "SELECT c.chunk_set_id, c.repeated_header || c.text, p.title, c.heading_path"
        " FROM tvdb.chunks c JOIN tvdb.chunk_sets k USING (chunk_set_id)"
        " JOIN tvdb.parsed_documents p USING (parsed_id)"
        " WHERE c.chunk_set_id = ANY(%s) ORDER BY c.chunk_set_id, c.ordinal",
        (set_ids,),
    ):
        texts[set_id][0].append(text)
        texts[set_id][1].append(context_of(title, headings, text))
    # Counting needs the lock, and is slow if the documents are long.
    tx.execute("SET LOCAL idle_in_transaction_session_timeout = '10min'")
    sets = [SetText(parts, context, language_of(parts)) for parts, context in texts.values()]
    store_words(tx, count_words(sets), set_ids)
    tx.execute(
        "UPDATE tvdb.chunk_sets k SET has_words = true, language = n.language"
        " FROM unnest(%s::bigint[], %s::text[]) AS n(id, language) WHERE chunk_set_id = n.id",
        (set_ids, [each.language for each in sets]),
    )
    tx.execute(
        "INSERT INTO tvdb.word_changes (index_id, segment_id, first_position, chunk_count,"
        " is_live) SELECT u.index_id, w.segment_id, w.first_position, w.chunk_count, true"
        " FROM tvdb.publications u JOIN tvdb.word_sets w USING (chunk_set_id)"
        " WHERE u.chunk_set_id = ANY(%s)",
        (set_ids,),
    )
    return len(set_ids)


def context_of(title: str | None, heading_path: Sequence[str], text: str) -> str:
    """The title and the headings above a chunk that its own text does not contain."""
    return "\n".join(
        part for part in dict.fromkeys((title or "", *heading_path)) if part and part not in text
    )
