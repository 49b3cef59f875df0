"""Deletion of documents with all data derived from them, immediately or after a delay.

What belongs here: which rows are deleted with a document, and in which order. What does not:
detecting that a file is gone (`core.source_comparison`), or Dagster's partitions (`dagster`).

Search excludes a file as soon as it is gone from the source. Its rows are deleted later, when the
source has no unprocessed document that may have the same text, so that a moved file is not paid for
again. `cost_ledger` keeps the cost of a deleted document; it contains none of its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from tvdb_assets.lifecycle.events import MemberForgotten, SourceGone
from tvdb_assets.lifecycle.states import DocumentStatus
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.unused_parses import forget_parses, keep_parses_sql

MAX_DELETION_DELAY = timedelta(hours=1)
"""Longest time that rows of a removed file are kept, in case the file was moved."""
_BATCH = 500
"""Documents deleted in one transaction; each takes a lock, and a server has a few thousand."""


class DocumentDeletion:
    """Deletes documents of a database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def unpublish(self, document_ids: Sequence[int]) -> None:
        """Exclude files and their members from search immediately.

        `delete_unpublished` deletes them later.
        """
        with self._database.transaction() as tx:
            lifecycle = DocumentLifecycle(tx)
            # This waits for publications in progress, which are then removed too.
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

    def delete_unpublished(
        self,
        *,
        gone_before: datetime | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> int:
        """Delete unpublished documents whose delay is over; returns how many.

        A document that a run is processing is left for the next call.

        Args:
            gone_before: the documents that were unpublished before this time; None means all.
            is_over: whether the rest is left for the next call; called between batches.
        """
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT document_id FROM tvdb.documents g WHERE gone_at IS NOT NULL"
                " AND container_id IS NULL AND gone_at < coalesce(%s::timestamptz, 'infinity')"
                " AND (gone_at < tvdb.clock() - %s::interval OR NOT EXISTS"
                "   (SELECT FROM tvdb.documents d WHERE d.source = g.source AND d.gone_at IS NULL"
                "    AND (d.status = %s OR d.is_changed))) ORDER BY document_id",
                (gone_before, MAX_DELETION_DELAY, DocumentStatus.REGISTERED.value),
            ).fetchall()
        deleted = 0
        for start in range(0, len(rows), _BATCH):
            if start and is_over():
                break
            batch = [row[0] for row in rows[start : start + _BATCH]]
            deleted += self.delete(batch, waits=False, keeps_results=True)
        return deleted

    def delete(
        self,
        document_ids: Sequence[int],
        *,
        waits: bool = True,
        is_manual: bool = False,
        keeps_results: bool = False,
    ) -> int:
        """Delete documents: their text, chunks and history, and vectors that no other text uses.

        Args:
            document_ids: the documents to delete.
            waits: wait for runs that are processing one; otherwise such a document is skipped.
            is_manual: a person deletes them. Their files may still exist, and scans ignore them
                until they change or a person ingests them.
            keeps_results: vectors and paid texts stay for TVDB_CACHE_DAYS, in case the files
                return.

        Returns:
            The number of deleted documents.
        """
        deleted = 0
        # In order, so that two deletions and a run cause no deadlock.
        ordered = sorted(document_ids)
        for start in range(0, len(ordered), _BATCH):
            with self._database.transaction() as tx:
                batch = ordered[start : start + _BATCH]
                if is_manual:
                    _record_forgotten(tx, batch)
                deleted += _delete_batch(tx, batch, waits=waits, keeps_results=keeps_results)
        return deleted

    def forget_unused(self, source: str, path: str) -> int:
        """Delete the parsed texts that are kept of a document which is deleted already.

        Returns:
            The number of texts, of the document and of what was in it.
        """
        with self._database.transaction() as tx:
            return tx.execute(
                "DELETE FROM tvdb.unused_parses WHERE source = %(source)s"
                " AND (path = %(path)s OR starts_with(path, %(path)s || '!/'))",
                {"source": source, "path": path},
            ).rowcount

    def forgotten_etags(self, source: str, paths: Sequence[str]) -> dict[str, str]:
        """The etags of those files that a person deleted from the index, by path in the source."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT path, etag FROM tvdb.forgotten_files WHERE source = %s AND path = ANY(%s)",
                (source, list(paths)),
            ).fetchall()
        return dict(rows)

    def removed_partitions(self) -> list[str]:
        """Partition keys of deleted documents, which Dagster may still have."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT partition_key FROM tvdb.removed_partitions ORDER BY removed_at, 1"
            ).fetchall()
        return [row[0] for row in rows]

    def confirm_removed_partitions(self, partition_keys: Sequence[str]) -> None:
        """Record that Dagster no longer has these partitions."""
        with self._database.transaction() as tx:
            tx.execute(
                "DELETE FROM tvdb.removed_partitions WHERE partition_key = ANY(%s)",
                (list(partition_keys),),
            )


def lock_present(tx: Connection, document_ids: Sequence[int]) -> set[int]:
    """Select the documents whose file is present, and lock them until the transaction ends.

    Args:
        tx: the transaction.
        document_ids: the documents to check.

    Returns:
        The ids of the documents whose file is present.
    """
    rows = tx.execute(
        "SELECT d.document_id FROM tvdb.documents d JOIN tvdb.documents f"
        " ON f.partition_key = d.partition_key AND f.container_id IS NULL"
        " WHERE d.document_id = ANY(%s) AND f.gone_at IS NULL"
        " ORDER BY f.document_id FOR NO KEY UPDATE OF f",
        (list(document_ids),),
    ).fetchall()
    return {row[0] for row in rows}


def delete_documents(
    tx: Connection, document_ids: Sequence[int], *, keeps_results: bool = False
) -> list[str]:
    """Delete documents, their members, and vectors that no other text uses.

    Args:
        tx: the transaction.
        document_ids: which.
        keeps_results: keep paid texts and vectors instead, which `Retention` deletes later.

    Returns:
        The partition keys of those that were files.
    """
    ids = {"ids": list(document_ids)}
    if keeps_results:
        tx.execute(_KEEP_PARSES, ids)
    else:
        forget_parses(tx, document_ids)
    texts = tx.execute(
        f"{_WITH_MEMBERS} SELECT c.text_sha256 FROM gone JOIN tvdb.chunk_sets k USING (document_id)"
        " JOIN tvdb.chunks c USING (chunk_set_id)"
        " UNION SELECT text_sha256 FROM gone JOIN tvdb.former_texts USING (document_id)",
        ids,
    ).fetchall()
    rows = tx.execute(
        "DELETE FROM tvdb.documents WHERE document_id = ANY(%(ids)s)"
        " RETURNING partition_key, container_id IS NULL",
        ids,
    ).fetchall()
    if keeps_results:
        tx.execute(
            "INSERT INTO tvdb.unused_texts (text_sha256) SELECT unnest(%s::bytea[])"
            " ON CONFLICT (text_sha256) DO UPDATE SET dropped_at = excluded.dropped_at",
            ([row[0] for row in texts],),
        )
    else:
        # The vector of a text that another document has or had is kept.
        tx.execute(
            "DELETE FROM tvdb.embeddings e WHERE text_sha256 = ANY(%s)"
            " AND NOT EXISTS (SELECT FROM tvdb.chunks c WHERE c.text_sha256 = e.text_sha256)"
            " AND NOT EXISTS (SELECT FROM tvdb.former_texts f WHERE f.text_sha256 = e.text_sha256)",
            ([row[0] for row in texts],),
        )
        tx.execute(
            "DELETE FROM tvdb.texts_without_vector w WHERE text_sha256 = ANY(%s)"
            " AND NOT EXISTS (SELECT FROM tvdb.chunks c WHERE c.text_sha256 = w.text_sha256)",
            ([row[0] for row in texts],),
        )
    return [key for key, is_file in rows if is_file]


_WITH_MEMBERS = """WITH RECURSIVE gone AS (SELECT unnest(%(ids)s::bigint[]) AS document_id UNION
    SELECT d.document_id FROM tvdb.documents d JOIN gone g ON d.container_id = g.document_id)"""
_KEEP_PARSES = (
    f"{_WITH_MEMBERS}, dropped AS (SELECT * FROM tvdb.parsed_documents JOIN gone"
    f" USING (document_id)) {keep_parses_sql('dropped')}"
)


def _record_forgotten(tx: Connection, document_ids: list[int]) -> None:
    tx.execute(
        "INSERT INTO tvdb.forgotten_files (source, path, etag)"
        " SELECT source, path, etag FROM tvdb.documents"
        " WHERE document_id = ANY(%s) AND container_id IS NULL"
        " ON CONFLICT (source, path) DO UPDATE SET etag = excluded.etag",
        (document_ids,),
    )


def _delete_batch(
    tx: Connection, document_ids: list[int], *, waits: bool, keeps_results: bool
) -> int:
    by_key = {locks.DOCUMENTS.key(document_id): document_id for document_id in document_ids}
    if waits:
        locks.acquire_in_transaction(tx, list(by_key))
        locked = document_ids
    else:
        locked = [by_key[key] for key in locks.try_acquire_in_transaction(tx, list(by_key))]
    # Files that had one of them as a member are ingested again, unless they are gone.
    files = tx.execute(
        "SELECT document_id FROM tvdb.documents WHERE container_id IS NULL"
        " AND partition_key IN (SELECT partition_key FROM tvdb.documents"
        "   WHERE document_id = ANY(%s) AND container_id IS NOT NULL)",
        (locked,),
    ).fetchall()
    DocumentLifecycle(tx).apply_to([row[0] for row in files], MemberForgotten())
    tx.execute(
        "INSERT INTO tvdb.removed_partitions (partition_key) SELECT unnest(%s::text[])"
        " ON CONFLICT DO NOTHING",
        (delete_documents(tx, locked, keeps_results=keeps_results),),
    )
    return len(locked)
