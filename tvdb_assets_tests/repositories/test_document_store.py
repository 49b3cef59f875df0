"""Two runs that store results of the same document: the first ones are kept.

What belongs here: texts and chunk sets that are stored already. What does not: two processes that
ingest the same documents (`integration.test_claims_across_processes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.models import ParsedDocument, Provenance
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.rows import NewChunkSet, NewParse
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.spend_guard.ledger_invariants import rows

MADE_BY = Provenance("parser", "real", "model", "1", False)
WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def parses(database: Database, tmp_path: Path) -> list[NewParse]:
    """The texts of two documents."""
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(f"The insured of {name} pays.")
    source = Source.open(str(tmp_path))
    files = [file for file in source.list() if not isinstance(file, Exception)]
    DocumentRegistry(database).register(source.root, files, "of the test")
    return [
        NewParse(
            document.document_id,
            sha256(path.encode()).digest(),
            "parser 1",
            ".md",
            ParsedDocument(f"The insured of {path} pays.", "text/markdown", True, MADE_BY),
        )
        for path, document in sorted(DocumentRegistry(database).known(source.root).items())
    ]


def with_text(parses: Sequence[NewParse], text: str) -> list[NewParse]:
    return [replace(new, parsed=replace(new.parsed, text=text)) for new in parses]


def chunk_sets(stored: dict[int, tuple[int, ParsedDocument]]) -> list[NewChunkSet]:
    chunker = Chunker(48, 0)
    return [
        NewChunkSet(parsed_id, document_id, chunker.fingerprint, chunker.chunk(parsed))
        for document_id, (parsed_id, parsed) in stored.items()
    ]


def while_open(database: Database, first: psycopg.Connection[Any], work: Callable[[], Any]) -> Any:
    """Begin work that waits for a transaction, commit that transaction, and return the result."""
    with ThreadPoolExecutor(1) as threads:
        ended: Future[Any] = threads.submit(work)
        while rows(database, WAITS) == [(0,)]:
            assert not ended.done(), "it did not wait"
        first.commit()
        return ended.result()


def test_a_text_that_is_stored_already_is_kept_and_returned(
    database: Database, parses: list[NewParse]
) -> None:
    [first] = DocumentStore(database, "run 1").texts.store(parses[:1]).values()

    stored = DocumentStore(database, "run 2").texts.store(with_text(parses, "Another text."))

    assert stored[parses[0].document_id] == first
    assert stored[parses[1].document_id][1].text == "Another text."
    assert rows(database, "SELECT run_id FROM tvdb.parsed_documents ORDER BY parsed_id") == [
        ("run 1",),
        ("run 2",),
    ]


def test_a_text_that_is_being_stored_is_waited_for_and_kept(
    database: Database, parses: list[NewParse]
) -> None:
    other = with_text(list(reversed(parses)), "Another text.")
    with psycopg.connect(database.url) as tx:
        first = DocumentStore(database, "run 1").texts.store(parses, tx)
        second = while_open(
            database, tx, lambda: DocumentStore(database, "run 2").texts.store(other)
        )

    assert second == first
    assert rows(database, "SELECT DISTINCT run_id FROM tvdb.parsed_documents") == [("run 1",)]


def test_a_chunk_set_that_is_stored_already_is_kept_and_returned(
    database: Database, parses: list[NewParse]
) -> None:
    store = DocumentStore(database, "run 1")
    sets = chunk_sets(store.texts.store(parses))
    [first] = store.store_chunk_sets(sets[:1], MADE_BY).values()

    stored = DocumentStore(database, "run 2").store_chunk_sets(sets, MADE_BY)
    again = DocumentStore(database, "run 3").store_chunk_sets(sets, MADE_BY)

    assert stored[parses[0].document_id] == first
    assert again == stored
    assert rows(database, "SELECT run_id, count(*) FROM tvdb.chunks GROUP BY 1 ORDER BY 1") == [
        ("run 1", 1),
        ("run 2", 1),
    ]


def test_texts_are_stored_and_found_after_a_newer_release_has_added_a_column(
    database: Database, parses: list[NewParse]
) -> None:
    """The server keeps the plans of a connection, and refuses one whose columns have changed."""
    [one, _] = parses
    with Database(database.url, max_connections=1) as connected:
        store = DocumentStore(connected, "run-1")

        def use() -> None:
            [(parsed_id, _)] = store.texts.store([one]).values()
            store.texts.read(parsed_id)
            store.texts.find_text(one.content_sha256, one.fingerprint, one.suffix)
            store.texts.find(
                [(one.document_id + 1, one.content_sha256, one.fingerprint, one.suffix)]
            )

        for _ in range(8):
            use()
        with database.transaction() as tx:
            for table in ("parsed_documents", "unused_parses"):
                tx.execute(f"ALTER TABLE tvdb.{table} ADD COLUMN newer integer")
        use()
