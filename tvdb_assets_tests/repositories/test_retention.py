"""Retention: the rows that are deleted, and those that never are."""

from __future__ import annotations

from datetime import timedelta

from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.retention import Retention
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

DAY = timedelta(days=1)


def count(database: Database, table: str) -> int:
    with database.transaction() as tx:
        row = tx.execute(f"SELECT count(*) FROM tvdb.{table}").fetchone()
    assert row is not None
    return int(row[0])


def test_a_vector_is_deleted_some_time_after_its_last_text(folder: DocumentFolder) -> None:
    database = folder.paid.database
    folder.write("a.md", "# Terms\n\nThe first version of the text.\n")
    folder.write("b.md", "# Terms\n\nThis text stays.\n")
    folder.ingest()
    # Created long ago, and used until now.
    with database.transaction() as tx:
        tx.execute("UPDATE tvdb.embeddings SET created_at = created_at - interval '1 year'")
    folder.write("a.md", "# Terms\n\nThe second version of the text.\n")
    folder.ingest()
    retention = Retention(database)
    assert count(database, "embeddings") == 3
    assert retention.delete_old_rows(keep=30 * DAY, cache=DAY)["vectors"] == 0
    with database.transaction() as tx:
        tx.execute("UPDATE tvdb.former_texts SET dropped_at = dropped_at - interval '25 hours'")
    done = retention.delete_old_rows(keep=30 * DAY, cache=DAY)
    assert (done["vectors"], done["former texts"]) == (1, 1)
    assert count(database, "embeddings") == 2
    retention.refresh()


def test_the_ledger_and_the_last_event_of_each_document_stay(folder: DocumentFolder) -> None:
    database = folder.paid.database
    for version in range(3):
        folder.write("a.md", f"# Terms\n\nVersion {version} of the text.\n")
        folder.ingest()
    with database.transaction() as tx:
        tx.execute("UPDATE tvdb.document_events SET happened_at = happened_at - interval '1 year'")
        tx.execute("UPDATE tvdb.budget_windows SET starts_at = starts_at - interval '1 year'")
        tx.execute("UPDATE tvdb.cost_ledger SET reserved_at = reserved_at - interval '1 year'")
    paid = count(database, "cost_ledger")
    assert paid == count(database, "document_events") == 3
    done = Retention(database).delete_old_rows(keep=30 * DAY, cache=DAY)
    assert done["document events"] == 2
    assert done["hourly budget windows"] > 0
    assert count(database, "document_events") == 1
    assert count(database, "cost_ledger") == paid


def test_a_fallback_vector_is_deleted_when_no_document_uses_or_may_use_it(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    retention = Retention(paid.database)

    def deleted_fallback_vectors() -> int:
        return retention.delete_old_rows(keep=30 * DAY, cache=30 * DAY)["fallback vectors"]

    for name in ("healed.md", "gone.md"):
        folder.write(name, "# Terms\n\nThe text of both documents.\n")
    paid.apis.faults.script("unavailable", times=None)
    assert folder.codes(folder.ingest(service_mode="hybrid")) == {}
    paid.apis.faults.clear()
    paid.clock.forward(400)
    assert folder.codes(folder.ingest(["healed.md"], service_mode="hybrid")) == {}
    assert deleted_fallback_vectors() == 0, "the other document is published with it"

    [known] = folder.registry.find("gone.md")
    DocumentDeletion(paid.database).delete([known.document_id])

    assert folder.degraded_rows() == {"embeddings": 1}
    assert deleted_fallback_vectors() == 1
    assert folder.degraded_rows() == {}
    assert list(folder.passages()) == ["healed.md"]
