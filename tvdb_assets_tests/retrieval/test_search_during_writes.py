"""A reader that searches in a loop sees whole answers, whatever is written meanwhile."""

from __future__ import annotations

import threading

import numpy as np

from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.vector_index import build_vector_indexes
from tvdb_assets.repositories.word_segments import compact
from tvdb_assets.retrieval.hybrid_search import search
from tvdb_assets.retrieval.word_index import WordIndexReader
from tvdb_assets_tests.paid_router import DocumentFolder

LOCAL = {"service_mode": "local", "chunk_tokens": 64, "chunk_overlap_tokens": 0}
STAYS = {"stays-0.md", "stays-1.md"}
CHANGES = ("a.md", "b.md", "c.md")
_AFTER_EACH = 3


class Reader(threading.Thread):
    """Searches until it is stopped, and collects what is wrong."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.answers = 0
        self.faults: list[str] = []
        self.is_over = threading.Event()
        self._database, self._words = database, WordIndexReader()
        self._vector, self._space = np.ones(256, np.float32), LocalEmbedder().space.label
        self._more = threading.Semaphore(0)

    def run(self) -> None:
        while not self.is_over.is_set():
            try:
                self._check()
            except Exception as error:
                self.faults.append(repr(error))
            self.answers += 1
            self._more.release()

    def wait(self) -> None:
        """Wait for some answers."""
        for _ in range(_AFTER_EACH):
            assert self._more.acquire(timeout=60)

    def _check(self) -> None:
        question = (self._database, "water in house", self._vector, self._space, 100)
        hits = search(*question, reader=self._words)
        versions: dict[str, set[str]] = {}
        for hit in hits:
            for word in hit.text.split():
                if word.startswith("version"):
                    versions.setdefault(hit.document, set()).add(word)
        if not versions.keys() >= STAYS:
            self.faults.append(f"only {sorted(versions)} were found")
        self.faults += [f"{name} has {found}" for name, found in versions.items() if len(found) > 1]


def test_answers_are_whole_during_publication_merges_index_builds_switch_and_deletion(
    folder: DocumentFolder,
) -> None:
    database = folder.paid.database

    def write(name: str, version: int) -> None:
        lines = [f"Damage by water in house {n} is covered, version{version}." for n in range(12)]
        folder.write(name, "\n\n".join(f"# House {n}\n\n{line}" for n, line in enumerate(lines)))

    for name in (*STAYS, *CHANGES):
        write(name, 1)
    assert folder.codes(folder.ingest(**LOCAL)) == {}
    reader = Reader(database)
    reader.start()
    try:
        reader.wait()
        for version in (2, 3):
            for name in CHANGES:
                write(name, version)
            folder.ingest(**LOCAL)
            reader.wait()
            compact(database, is_forced=True)
            build_vector_indexes(database, is_forced=True)
            reader.wait()
        folder.ingest(**LOCAL | {"chunk_tokens": 128})
        IndexCatalog(database).switch()
        reader.wait()
        IndexCatalog(database).switch(1)
        reader.wait()
        with database.transaction() as tx:
            ids = [
                row[0]
                for row in tx.execute(
                    "SELECT document_id FROM tvdb.documents WHERE path = ANY(%s)",
                    (list(CHANGES),),
                )
            ]
        DocumentDeletion(database).unpublish(ids[:1])
        DocumentDeletion(database).delete(ids)
        reader.wait()
    finally:
        reader.is_over.set()
        reader.join()
    assert reader.faults == []
    assert reader.answers >= 8 * _AFTER_EACH
