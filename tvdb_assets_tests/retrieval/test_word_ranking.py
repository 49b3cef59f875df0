"""BM25 over the stored word index equals BM25 computed from the texts that the index shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import pytest

from tvdb_assets.core.words import normalize, split_words, term_cache
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.word_segments import compact
from tvdb_assets.retrieval import candidates
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.word_index import WordIndexReader
from tvdb_assets.retrieval.word_ranking import K1, B, WordRanking, question_terms
from tvdb_assets_tests.paid_router import DocumentFolder

LOCAL = {"service_mode": "local"}
QUESTION = "Is damage by water covered in house 7?"
TOPICS = ("water", "fire", "hail", "theft", "flood", "glass")


def _text(number: int, word: str = "covered") -> str:
    topic = TOPICS[number % len(TOPICS)]
    rest = " ".join(f"House {n} stands here." for n in range(number % 5))
    return f"# Rule {number}\n\nDamage by {topic} is {word}. {rest}\n"


def _by_search(database: Database, reader: WordIndexReader) -> dict[str, float]:
    with database.transaction() as tx:
        current = candidates.current_index(tx)
        assert current is not None
        words = WordRanking(tx, reader, reader.snapshot(tx, current.index_id), QUESTION)
        rows = candidates.at_places(tx, current, words.best(100), None, Filters())
        found = list(map(candidates.candidate, rows))
        scores = words.scores([each.place for each in found if each.place is not None])
        names = dict(
            tx.execute("SELECT chunk_id, document || ' ' || ordinal FROM tvdb.search_index")
        )
    return {names[c.chunk_id]: s.bm25 for c, s in zip(found, scores, strict=True)}


def _by_texts(database: Database) -> dict[str, float]:
    """BM25, written out."""
    with database.transaction() as tx:
        rows = tx.execute(
            "SELECT i.document || ' ' || i.ordinal, i.repeated_header || i.text, k.language"
            " FROM tvdb.search_index i JOIN tvdb.chunks c USING (chunk_id)"
            " JOIN tvdb.chunk_sets k USING (chunk_set_id)"
        ).fetchall()
    words = {name: split_words(normalize(text)) for name, text, _ in rows}
    counts = {
        name: Counter(term for word in words[name] for term in term_cache(language)(word))
        for name, _, language in rows
    }
    mean = sum(map(len, words.values())) / max(1, len(words))
    scores = dict.fromkeys(words, 0.0)
    for forms in question_terms(QUESTION, sorted({row[2] for row in rows}, key=str)):
        of_term = {name: sum(count[form] for form in forms) for name, count in counts.items()}
        n = sum(map(bool, of_term.values()))
        idf = math.log(1 + (len(rows) - n + 0.5) / (n + 0.5))
        for name, tf in of_term.items():
            norm = K1 * (1 - B + B * len(words[name]) / mean)
            scores[name] += idf * tf * (K1 + 1) / (tf + norm)
    return {name: score for name, score in scores.items() if score}


@pytest.fixture
def filled(folder: DocumentFolder) -> Iterator[DocumentFolder]:
    """Twenty documents in an index of the local embedder."""
    for number in range(20):
        folder.write(f"{number}.md", _text(number))
    assert folder.codes(folder.ingest(**LOCAL)) == {}
    yield folder


def test_statistics_are_those_of_the_published_chunks(filled: DocumentFolder) -> None:
    database, reader = filled.paid.database, WordIndexReader()

    def check() -> None:
        expected = pytest.approx(_by_texts(database), rel=1e-5)
        assert _by_search(database, reader) == expected
        assert _by_search(database, WordIndexReader()) == expected

    check()
    # Publication of changed documents, which replaces what was shown.
    for number in (0, 6, 7):
        filled.write(f"{number}.md", _text(number, "never covered, not even once,"))
    filled.ingest(**LOCAL)
    check()
    # Deletion, before and after the changes are folded.
    with database.transaction() as tx:
        ids = [
            row[0]
            for row in tx.execute(
                "SELECT document_id FROM tvdb.documents WHERE path IN ('1.md', '2.md', '12.md')"
            )
        ]
    DocumentDeletion(database).unpublish(ids[:1])
    check()
    DocumentDeletion(database).delete(ids)
    check()
    compact(database, is_forced=True)
    check()
    # A switch to an index with other chunks.
    filled.ingest(**LOCAL, chunk_tokens=64, chunk_overlap_tokens=0)
    check()
    IndexCatalog(database).switch()
    check()


def test_a_merge_of_segments_changes_no_score(filled: DocumentFolder) -> None:
    database = filled.paid.database
    for number in range(20, 29):
        filled.write(f"{number}.md", _text(number))
        filled.ingest(**LOCAL)
    with database.transaction() as tx:
        segments = tx.execute("SELECT count(*) FROM tvdb.word_segments").fetchone()
    # Each ingestion stored a segment, and eight of them were merged.
    assert segments is not None
    assert segments[0] < 9
    assert _by_search(database, WordIndexReader()) == pytest.approx(_by_texts(database), rel=1e-5)


def test_the_live_positions_are_those_of_the_publications(filled: DocumentFolder) -> None:
    database = filled.paid.database
    compact(database, is_forced=True)
    with database.transaction() as tx:
        assert tx.execute("SELECT count(*) FROM tvdb.word_changes").fetchone() == (0,)
        live = tx.execute("SELECT sum(bit_count(positions)) FROM tvdb.word_live").fetchone()
        shown = tx.execute("SELECT count(*) FROM tvdb.search_index").fetchone()
    assert live is not None
    assert shown == (int(live[0]),)
