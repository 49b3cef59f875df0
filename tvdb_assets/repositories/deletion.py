"""Deletion of documents with all that came from them, at once or after a wait.

What belongs here: which rows are deleted with a document, and in which order. What does not:
noticing that a file is gone (`core.source_comparison`), or Dagster's partitions (`dagster`).

A file that is gone from the source is out of search at once. Its rows are deleted later, when no
new or changed document of the source remains that may have the same text: a file that was moved
is not paid for again. `cost_ledger` keeps what a document cost, which says nothing of its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from tvdb_assets.lifecycle.events import MemberForgotten, SourceGone
from tvdb_assets.lifecycle.states import DocumentStatus
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle

LONGEST_WAIT = timedelta(hours=1)
"""Of the rows of a document that is gone, for the same file under another path."""
_BATCH = 500
"""Documents deleted in one transaction: each takes a lock, of which a server has some thousands."""


class DocumentDeletion:
    """Deletes documents of a database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def unpublish(self, document_ids: Sequence[int]) -> None:
        """Take files out of search now, with their members.

        `delete_unpublished` deletes them later.
        """
        with self._database.transaction() as tx:
            lifecycle = DocumentLifecycle(tx)
            # Their locks wait for what is being published, which then goes too.
            lifecycle.apply_to(document_ids, SourceGone())
            members = tx.execute(
                "SELECT document_id FROM tvdb.documents WHERE container_id IS NOT NULL"
                " AND gone_at IS NULL AND partition_key IN (SELECT partition_key"
                "   FROM tvdb.documents WHERE document_id = ANY(%s))",
                (list(document_ids),),
            ).fetchall()
            gone = [*document_ids, *(row[0] for row in members)]
            lifecycle.apply_to(gone[len(document_ids) :], SourceGone())
            tx.execute("DELETE FROM tvdb.publications WHERE document_id = ANY(%s)", (gone,))

    def delete_unpublished(self) -> int:
        """Delete unpublished documents whose wait is over; returns how many.

        A document that a run is working on is left for the next time.
        """
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT document_id FROM tvdb.documents g WHERE gone_at IS NOT NULL"
                " AND container_id IS NULL AND (gone_at < tvdb.clock() - %s::interval OR NOT EXISTS"
                "   (SELECT FROM tvdb.documents d WHERE d.source = g.source AND d.gone_at IS NULL"
                "    AND (d.status = %s OR d.is_changed)))",
                (LONGEST_WAIT, DocumentStatus.REGISTERED.value),
            ).fetchall()
        return self.delete([row[0] for row in rows], waits=False)

    def delete(
        self, document_ids: Sequence[int], *, waits: bool = True, is_manual: bool = False
    ) -> int:
        """Delete documents: their text, chunks and history, and vectors that no other text uses.

        Args:
            document_ids: which; rows of others are not touched.
            waits: for runs that are working on one; else such a document is left as it is.
            is_manual: their files may still be there, and are left alone until they change or a
                person ingests them.

        Returns:
            How many were deleted.
        """
        deleted = 0
        # In order, so that two deletions and a run cause no deadlock.
        ordered = sorted(document_ids)
        for start in range(0, len(ordered), _BATCH):
            with self._database.transaction() as tx:
                batch = ordered[start : start + _BATCH]
                if is_manual:
                    _record_forgotten(tx, batch)
                deleted += _delete_batch(tx, batch, waits=waits)
        return deleted

    def forgotten(self, source: str) -> dict[str, str]:
        """Files of a source that a person had forgotten: the etags they had then, by path."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT path, etag FROM tvdb.forgotten_files WHERE source = %s", (source,)
            ).fetchall()
        return dict(rows)

    def removed_partitions(self) -> list[str]:
        """Partition keys whose documents are deleted, and which Dagster may still have."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT partition_key FROM tvdb.removed_partitions ORDER BY removed_at, 1"
            ).fetchall()
        return [row[0] for row in rows]

    def partitions_are_removed(self, partition_keys: Sequence[str]) -> None:
        """Note that Dagster no longer has these partitions."""
        with self._database.transaction() as tx:
            tx.execute(
                "DELETE FROM tvdb.removed_partitions WHERE partition_key = ANY(%s)",
                (list(partition_keys),),
            )


def still_present(tx: Connection, document_ids: Sequence[int]) -> set[int]:
    """Those of the documents whose file is present, and stays so until the transaction ends."""
    rows = tx.execute(
        "SELECT d.document_id FROM tvdb.documents d JOIN tvdb.documents f"
        " ON f.partition_key = d.partition_key AND f.container_id IS NULL"
        " WHERE d.document_id = ANY(%s) AND f.gone_at IS NULL"
        " ORDER BY f.document_id FOR NO KEY UPDATE OF f",
        (list(document_ids),),
    ).fetchall()
    return {row[0] for row in rows}


def delete_documents(tx: Connection, document_ids: Sequence[int]) -> list[str]:
    """Delete documents, their members, and vectors that no other text uses.

    Returns:
        The partition keys of those that were files.
    """
    ids = {"ids": list(document_ids)}
    texts = tx.execute(
        "WITH RECURSIVE gone AS (SELECT unnest(%(ids)s::bigint[]) AS document_id UNION"
        " SELECT d.document_id FROM tvdb.documents d JOIN gone g"
        "   ON d.container_id = g.document_id)"
        " SELECT c.text_sha256 FROM gone JOIN tvdb.chunk_sets k USING (document_id)"
        " JOIN tvdb.chunks c USING (chunk_set_id)"
        " UNION SELECT text_sha256 FROM gone JOIN tvdb.former_texts USING (document_id)",
        ids,
    ).fetchall()
    rows = tx.execute(
        "DELETE FROM tvdb.documents WHERE document_id = ANY(%(ids)s)"
        " RETURNING partition_key, container_id IS NULL",
        ids,
    ).fetchall()
    # The vector of a text that another document has, or had, stays.
    tx.execute(
        "DELETE FROM tvdb.embeddings e WHERE text_sha256 = ANY(%s)"
        " AND NOT EXISTS (SELECT FROM tvdb.chunks c WHERE c.text_sha256 = e.text_sha256)"
        " AND NOT EXISTS (SELECT FROM tvdb.former_texts f WHERE f.text_sha256 = e.text_sha256)",
        ([row[0] for row in texts],),
    )
    return [key for key, is_file in rows if is_file]


def _record_forgotten(tx: Connection, document_ids: list[int]) -> None:
    tx.execute(
        "INSERT INTO tvdb.forgotten_files (source, path, etag)"
        " SELECT source, path, etag FROM tvdb.documents"
        " WHERE document_id = ANY(%s) AND container_id IS NULL"
        " ON CONFLICT (source, path) DO UPDATE SET etag = excluded.etag",
        (document_ids,),
    )


def _delete_batch(tx: Connection, document_ids: list[int], *, waits: bool) -> int:
    by_key = {locks.DOCUMENTS.key(document_id): document_id for document_id in document_ids}
    if waits:
        locks.acquire_in_transaction(tx, list(by_key))
        mine = document_ids
    else:
        mine = [by_key[key] for key in locks.try_acquire_in_transaction(tx, list(by_key))]
    # The files that had one of them as a member are taken in again, unless they are gone.
    files = tx.execute(
        "SELECT document_id FROM tvdb.documents WHERE container_id IS NULL"
        " AND partition_key IN (SELECT partition_key FROM tvdb.documents"
        "   WHERE document_id = ANY(%s) AND container_id IS NOT NULL)",
        (mine,),
    ).fetchall()
    DocumentLifecycle(tx).apply_to([row[0] for row in files], MemberForgotten())
    tx.execute(
        "INSERT INTO tvdb.removed_partitions (partition_key) SELECT unnest(%s::text[])"
        " ON CONFLICT DO NOTHING",
        (delete_documents(tx, mine),),
    )
    return len(mine)
