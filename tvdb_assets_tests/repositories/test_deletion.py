"""Deletion removes all data derived from a document, and no data that another one needs."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Mapping
from datetime import timedelta

import pytest

from tvdb_assets.lifecycle import DocumentStatus
from tvdb_assets.models import SourceFile
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.paid_router import DocumentFolder

CANARY = "zanzibarquokka"


def everything(database: Database) -> dict[str, int]:
    """How many rows of each table contain the canary, whatever the column's type."""
    found = {}
    with database.transaction() as tx:
        tables = tx.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            row = tx.execute(
                f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s"
                " OR t::text LIKE '%%' || encode(%s, 'hex') || '%%'",
                (f"%{CANARY}%", CANARY.encode()),
            ).fetchone()
            assert row is not None
            if row[0]:
                found[table] = row[0]
    return found


def root_of(folder: DocumentFolder) -> str:
    return Source.open(str(folder.path)).root


def vectors(database: Database) -> int:
    with database.transaction() as tx:
        row = tx.execute("SELECT count(*) FROM tvdb.embeddings").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def two(folder: DocumentFolder) -> DocumentFolder:
    """A document with the canary, and one without it."""
    folder.write("canary.md", f"# Terms\n\nThe {CANARY} pays the excess of two hundred.\n")
    folder.write("plain.md", "# Terms\n\nThe insured pays the excess of two hundred.\n")
    folder.ingest()
    return folder


def test_no_table_has_data_of_a_forgotten_document(two: DocumentFolder) -> None:
    database = two.paid.database
    assert everything(database).keys() >= {"tvdb.parsed_documents", "tvdb.chunks"}
    before = vectors(database)
    # Its next version does not have the word; the first one's vector is kept, as it may return.
    two.write("canary.md", "# Terms\n\nAnother text takes its place.\n")
    two.ingest()
    assert vectors(database) == before + 1
    two.write("canary.md", f"# Terms\n\nThe {CANARY} is back, in other words.\n")
    two.ingest()
    [known] = DocumentRegistry(database).find("canary.md")

    assert DocumentDeletion(database).delete([known.document_id]) == 1

    assert everything(database) == {}
    assert vectors(database) == 1, "of the other document"
    with database.transaction() as tx:
        row = tx.execute(
            "SELECT count(*), sum(posted_usd) FROM tvdb.cost_ledger"
            " WHERE 'canary.md' = ANY(documents)"
        ).fetchone()
    assert row is not None
    assert row[0]
    assert row[1] > 0, "what it cost stays on record"


def test_a_restored_file_is_searchable_again(two: DocumentFolder) -> None:
    database, registry = two.paid.database, DocumentRegistry(two.paid.database)
    [gone] = registry.find("canary.md")
    DocumentDeletion(database).unpublish([gone.document_id])
    [known] = registry.find("canary.md")
    assert (known.status, known.is_gone) == (DocumentStatus.REGISTERED, True)
    assert "canary.md" not in two.passages()
    before = two.paid.spent

    registry.change(two.plan().changed)
    two.ingest()

    [known] = registry.find("canary.md")
    assert (known.status, known.is_gone) == (DocumentStatus.PUBLISHED, False)
    assert "canary.md" in two.passages()
    assert two.paid.spent == before


def test_an_ingest_processes_a_change_that_the_intake_recorded(two: DocumentFolder) -> None:
    registry = DocumentRegistry(two.paid.database)
    [known] = registry.find("canary.md")
    two.write("canary.md", "# Terms\n\nAnother text takes its place.\n")
    file = Source.open(root_of(two)).stat("canary.md")
    registry.change([(known.document_id, file)])
    assert two.due() == ["canary.md"], "though its etag is that of the source"


def test_a_text_that_another_document_has_keeps_its_vector(folder: DocumentFolder) -> None:
    for name in ("one.md", "two.md"):
        folder.write(name, f"# Terms\n\nThe {CANARY} is in both.\n")
    folder.ingest()
    deletion, registry = (
        DocumentDeletion(folder.paid.database),
        DocumentRegistry(folder.paid.database),
    )
    deletion.delete([registry.find("one.md")[0].document_id])
    assert vectors(folder.paid.database) == 1
    deletion.delete([registry.find("two.md")[0].document_id])
    assert vectors(folder.paid.database) == 0
    assert everything(folder.paid.database) == {}


def test_a_removed_file_leaves_search_at_once_and_is_deleted_after_a_delay(
    two: DocumentFolder,
) -> None:
    database, deletion = two.paid.database, DocumentDeletion(two.paid.database)
    registry = DocumentRegistry(database)
    [gone] = registry.find("canary.md")
    registry.register(root_of(two), [SourceFile("moved.md", 1, "1")], "")
    deletion.unpublish([gone.document_id])
    with database.transaction() as tx:
        rows = tx.execute("SELECT DISTINCT document FROM tvdb.search_index").fetchall()
    assert rows == [("plain.md",)]
    assert registry.counts()["documents"]["total"] == 2, "it is not counted any more"
    assert deletion.delete_unpublished() == 0, "the new document may be the same"
    [moved] = registry.find("moved.md")
    deletion.delete([moved.document_id])
    assert deletion.delete_unpublished() == 1
    assert everything(database) == {}
    assert deletion.removed_partitions() == ["moved.md", "canary.md"], "in order"


def test_a_run_does_not_publish_a_file_that_was_removed_after_it_began(
    folder: DocumentFolder,
) -> None:
    folder.write("note.md", "# Note\n\nThe gate is closed at night.\n")
    _zip(folder, {"a.md": "The gate is open by day."})
    folder.ingest()
    assert folder.passages().keys() == {"note.md", "all.zip!/a.md"}
    registry, deletion = (
        DocumentRegistry(folder.paid.database),
        DocumentDeletion(folder.paid.database),
    )
    known = registry.known(root_of(folder))
    folder.write("note.md", "# Note\n\nThe gate is closed for good.\n")
    _zip(folder, {"a.md": "The gate is open by day.", "b.md": "The bell is rung by hand."})
    # Unpublished after the run was planned; the run reads the file nevertheless.
    deletion.unpublish([document.document_id for document in known.values()])
    folder.ingest(["note.md", "all.zip"])
    assert folder.passages() == {}

    registry.change([(d.document_id, SourceFile(d.path, 1, "back")) for d in known.values()])
    folder.ingest(["note.md", "all.zip"])
    assert folder.passages().keys() == {"note.md", "all.zip!/a.md", "all.zip!/b.md"}


def _zip(folder: DocumentFolder, members: Mapping[str, str]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    folder.write("all.zip", buffer.getvalue())


def test_the_wait_for_a_moved_file_is_limited(two: DocumentFolder) -> None:
    deletion, registry = DocumentDeletion(two.paid.database), DocumentRegistry(two.paid.database)
    [gone] = registry.find("canary.md")
    registry.register(root_of(two), [SourceFile("never-ingested.md", 1, "1")], "")
    deletion.unpublish([gone.document_id])
    with two.paid.database.transaction() as tx:
        tx.execute(
            "UPDATE tvdb.documents SET gone_at = gone_at - %s::interval WHERE gone_at IS NOT NULL",
            (timedelta(hours=1),),
        )
    assert deletion.delete_unpublished() == 1


def test_deletion_waits_for_a_run_or_skips_its_document(two: DocumentFolder) -> None:
    database, deletion = two.paid.database, DocumentDeletion(two.paid.database)
    [known] = DocumentRegistry(database).find("canary.md")
    done = threading.Event()

    def forget() -> None:
        deletion.delete([known.document_id])
        done.set()

    waiting = threading.Thread(target=forget)
    with DocumentStore(database, "run-2").claim([known.document_id]):
        assert deletion.delete([known.document_id], waits=False) == 0
        waiting.start()
        assert DocumentRegistry(database).find("canary.md")
        assert not done.is_set()
    waiting.join()
    assert DocumentRegistry(database).find("canary.md") == []


def test_a_run_skips_a_document_that_was_deleted_after_it_was_planned(
    folder: DocumentFolder,
) -> None:
    for name in ("a.md", "b.md", "c.md"):
        folder.write(name, f"# Terms\n\nThe text of {name}.\n")
    folder.registry.register(root_of(folder), folder.plan().new, "")
    [known] = DocumentRegistry(folder.paid.database).find("b.md")
    # The run has read its rows when it claims the batch.
    claim = DocumentStore.claim

    def forget_first(store: DocumentStore, ids: list[int]) -> object:
        DocumentDeletion(folder.paid.database).delete([known.document_id])
        return claim(store, ids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DocumentStore, "claim", forget_first)
        results = folder.ingest()
    assert results.keys() == {"a.md", "c.md"}


def test_a_removed_partition_is_not_taken_for_one_that_a_person_added(
    two: DocumentFolder,
) -> None:
    registry = DocumentRegistry(two.paid.database)
    [known] = registry.find("canary.md")
    DocumentDeletion(two.paid.database).delete([known.document_id])
    assert registry.unregistered(["canary.md", "new.md"]) == ["new.md"]
    registry.register(root_of(two), [SourceFile("canary.md", 1, "1")], "")
    assert DocumentDeletion(two.paid.database).removed_partitions() == []
