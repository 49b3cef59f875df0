"""The documents of a database: registering, counting, finding and listing them.

What belongs here: statements on documents outside of a run. What does not: the writes of a run
(`document_store`), which documents are due (`due_documents`), or deletion (`deletion`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from psycopg.rows import class_row, dict_row, kwargs_row

from tvdb_assets.core.partition_keys import partition_key
from tvdb_assets.lifecycle.events import FileChanged, FileTouched, SourceReturned
from tvdb_assets.lifecycle.states import DocumentStatus, FileVersion, Outcome, Quarantine
from tvdb_assets.models import SourceFile
from tvdb_assets.redaction import PRIVATE, is_private, public_name
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A registered document, with the result of its last run."""

    document_id: int
    partition_key: str
    source: str
    path: str
    etag: str
    sha256: bytes | None
    status: DocumentStatus
    disposition: str | None
    pipeline_fingerprint: str
    is_degraded: bool
    is_changed: bool
    """Whether its bytes in the source differ from those that were read last."""
    is_member: bool
    """Whether it is a member of a container; it then shares the partition of the container."""
    quarantine: Quarantine | None
    is_gone: bool


class ListedDocument(NamedTuple):
    """The columns that a comparison with the source needs; there may be a million documents."""

    document_id: int
    etag: str
    is_gone: bool


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """A failed or deferred document, as reported to users."""

    document: str
    code: str
    message: str
    remedy: str
    run_id: str
    """The run that processed it last; its history has the details."""
    source: str = ""
    """The root of its source."""


_KNOWN = (
    "document_id, partition_key, source, path, etag, sha256, status, disposition,"
    " pipeline_fingerprint, is_degraded, is_changed, quarantine,"
    " container_id IS NOT NULL AS is_member, gone_at IS NOT NULL AS is_gone FROM tvdb.documents"
)

_OLD_COLUMN_NAMES = {
    "recipe": "pipeline_fingerprint",
    "wanted_at": "manually_requested_at",
    "requested_at": "run_requested_at",
}
"""Deprecated column names that `DocumentRegistry.history` also returns, for one release."""


class DocumentRegistry:
    """Statements on the documents of a database."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    @property
    def database(self) -> Database:
        """The database of the documents."""
        return self._database

    def sources(self) -> list[str]:
        """The source roots of all registered documents."""
        with self._database.transaction() as tx:
            rows = tx.execute("SELECT DISTINCT source FROM tvdb.documents ORDER BY 1").fetchall()
        return [row[0] for row in rows]

    def known(self, source: str) -> dict[str, KnownDocument]:
        """The files of a source, by path, without their members."""
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=kwargs_row(_known_document)) as c,
        ):
            c.execute(
                f"SELECT {_KNOWN} WHERE source = %s AND container_id IS NULL",
                (source,),
            )
            return {row.path: row for row in c}

    def listed(self, source: str, paths: Sequence[str] | None = None) -> dict[str, ListedDocument]:
        """The files of a source, by path, without their members; uses less memory than `known`.

        Args:
            source: the root of the source.
            paths: the files to find; None means all.
        """
        found: dict[str, ListedDocument] = {}
        with self._database.transaction() as tx, tx.cursor(name="listed") as cursor:
            cursor.itersize = 10_000
            cursor.execute(
                "SELECT path, document_id, etag, gone_at IS NOT NULL FROM tvdb.documents"
                " WHERE source = %(source)s AND container_id IS NULL"
                + ("" if paths is None else " AND path = ANY(%(paths)s)"),
                {"source": source, "paths": None if paths is None else list(paths)},
            )
            for path, *rest in cursor:
                found[path] = ListedDocument(*rest)
        return found

    def register(self, source: str, files: Sequence[SourceFile], run_id: str) -> list[str]:
        """Add documents; returns their partition keys, in the order of ``files``.

        If another document has the same key, the last parts of this source are added as a prefix,
        as many as are necessary.
        """
        if not files:
            return []
        paths = [file.path for file in files]
        with self._database.transaction() as tx:
            keys_by_path = _free_keys(tx, source, paths)
            keys = [keys_by_path[path] for path in paths]
            with tx.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO tvdb.documents"
                    " (partition_key, source, path, size, etag, modified_at, run_id)"
                    " VALUES (%s, %s, %s, %s, %s, to_timestamp(%s), %s) ON CONFLICT (source, path)"
                    " WHERE container_id IS NULL DO NOTHING",
                    [
                        (key, source, f.path, f.size, f.etag, f.modified_at, run_id)
                        for key, f in zip(keys, files, strict=True)
                    ],
                )
            tx.execute("DELETE FROM tvdb.removed_partitions WHERE partition_key = ANY(%s)", (keys,))
            tx.execute(
                "DELETE FROM tvdb.forgotten_files WHERE source = %s AND path = ANY(%s)",
                (source, paths),
            )
        return keys

    def update_partition_keys(self, source: str) -> dict[str, str]:
        """Change the partition keys of documents whose paths became private or public.

        Args:
            source: the root of the source.

        Returns:
            The new partition keys, by the old ones.
        """
        new_keys = {}
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT path, partition_key FROM tvdb.documents"
                " WHERE source = %s AND container_id IS NULL",
                (source,),
            ).fetchall()
            for path, key in rows:
                if is_private(path) != (PRIVATE in key):
                    new_key = partition_key(public_name(path))
                    if key != new_key:
                        new_keys[key] = new_key
            DocumentLifecycle(tx).rename_partitions(new_keys)
            tx.execute(
                "INSERT INTO tvdb.removed_partitions (partition_key) SELECT unnest(%s::text[])"
                " ON CONFLICT DO NOTHING",
                (list(new_keys),),
            )
            tx.execute(
                "DELETE FROM tvdb.removed_partitions WHERE partition_key = ANY(%s)",
                (list(new_keys.values()),),
            )
        return new_keys

    def unregistered(self, partition_keys: Sequence[str]) -> list[str]:
        """The partition keys that no document has or had, in the given order."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT partition_key FROM tvdb.documents WHERE partition_key = ANY(%(keys)s)"
                " UNION ALL SELECT partition_key FROM tvdb.removed_partitions"
                " WHERE partition_key = ANY(%(keys)s)",
                {"keys": list(partition_keys)},
            ).fetchall()
        known = {row[0] for row in rows}
        return [key for key in partition_keys if key not in known]

    def touch(self, files: Sequence[tuple[int, SourceFile]]) -> None:
        """Record new etags of documents whose bytes did not change.

        Args:
            files: pairs of document id and file.
        """
        with self._database.transaction() as tx:
            lifecycle = DocumentLifecycle(tx)
            lifecycle.apply({key: FileTouched(version=_file_version(file)) for key, file in files})
            lifecycle.store_modification_times(
                {document_id: file.modified_at for document_id, file in files}
            )

    def change(self, files: Sequence[tuple[int, SourceFile]]) -> None:
        """Record new etags of documents whose bytes may have changed, so that they are due.

        Files that were gone are restored, with their members.

        Args:
            files: pairs of document id and file.
        """
        with self._database.transaction() as tx:
            lifecycle = DocumentLifecycle(tx)
            lifecycle.apply({key: FileChanged(version=_file_version(file)) for key, file in files})
            lifecycle.store_modification_times(
                {document_id: file.modified_at for document_id, file in files}
            )
            members = tx.execute(
                "SELECT document_id FROM tvdb.documents WHERE gone_at IS NOT NULL"
                " AND partition_key IN (SELECT partition_key FROM tvdb.documents"
                "   WHERE document_id = ANY(%s))",
                ([document_id for document_id, _ in files],),
            ).fetchall()
            lifecycle.apply_to([row[0] for row in members], SourceReturned())

    def find(self, name: str) -> list[KnownDocument]:
        """Find documents by partition key or path, in all sources."""
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=kwargs_row(_known_document)) as c,
        ):
            c.execute(
                f"SELECT {_KNOWN} WHERE path = %s OR (partition_key = %s AND container_id IS NULL)",
                (name, name),
            )
            return c.fetchall()

    def find_in(self, source: str, name: str) -> list[KnownDocument]:
        """Documents of one source by path, or else by partition key."""
        documents = [document for document in self.find(name) if document.source == source]
        return [document for document in documents if document.path == name] or documents

    def count_finished(self, run_ids: Sequence[str]) -> int:
        """The number of files that these runs have finished so far, successfully or not."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT count(DISTINCT document_id) FROM tvdb.document_events"
                " JOIN tvdb.documents d USING (document_id)"
                " WHERE document_events.run_id = ANY(%s) AND d.container_id IS NULL",
                (list(run_ids),),
            ).fetchone()
        return int(row[0]) if row else 0

    def outcomes(self, run_ids: Sequence[str]) -> dict[str, int]:
        """The number of documents of these runs by status; ``degraded`` is counted separately."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT CASE WHEN is_degraded AND status = %s THEN %s ELSE status END, count(*)"
                " FROM tvdb.documents WHERE run_id = ANY(%s) GROUP BY 1",
                (DocumentStatus.PUBLISHED.value, Outcome.DEGRADED.value, list(run_ids)),
            ).fetchall()
        return dict(rows)

    def count_texts(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Counts of texts that these runs embedded, and of published chunks with cached vectors."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT (SELECT count(*) FROM tvdb.embeddings WHERE run_id = ANY(%(runs)s)),"
                " (SELECT count(*) FROM tvdb.publications u JOIN tvdb.chunks c USING (chunk_set_id)"
                "   WHERE u.run_id = ANY(%(runs)s))",
                {"runs": list(run_ids)},
            ).fetchone()
        embedded, published = row or (0, 0)
        return {"embedded": embedded, "cached": max(0, published - embedded)}

    def failures(
        self,
        partition_keys: Sequence[str] | None = None,
        status: DocumentStatus = DocumentStatus.FAILED,
    ) -> list[FailedDocument]:
        """Documents that failed, or are deferred, ordered by path.

        Args:
            partition_keys: partitions of files, whose members are included; None means all.
            status: FAILED or DEFERRED.
        """
        with (
            self._database.transaction() as tx,
            tx.cursor(row_factory=class_row(FailedDocument)) as c,
        ):
            c.execute(
                "SELECT path AS document, error_code AS code, error_message AS message,"
                " error_remedy AS remedy, run_id, source FROM tvdb.documents"
                " WHERE status = %(status)s AND gone_at IS NULL"
                " AND (%(keys)s::text[] IS NULL OR partition_key = ANY(%(keys)s))"
                " ORDER BY path, source",
                {
                    "keys": None if partition_keys is None else list(partition_keys),
                    "status": status.value,
                },
            )
            return c.fetchall()

    def keys_of(self, source: str, paths: Sequence[str]) -> list[str]:
        """The partition keys of files of a source."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT partition_key FROM tvdb.documents"
                " WHERE source = %s AND path = ANY(%s) AND container_id IS NULL",
                (source, list(paths)),
            ).fetchall()
        return [row[0] for row in rows]

    def count(self, partition_keys: Sequence[str], status: DocumentStatus | None = None) -> int:
        """The number of documents in these partitions: files and their members."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT count(*) FROM tvdb.documents WHERE partition_key = ANY(%(keys)s)"
                " AND (%(status)s::text IS NULL OR status = %(status)s)",
                {"keys": list(partition_keys), "status": status},
            ).fetchone()
        return int(row[0]) if row else 0

    def deferring_runs(self, partition_keys: Iterable[str]) -> dict[str, str]:
        """The deferred documents: the run that deferred each, by partition key."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT partition_key, run_id FROM tvdb.documents WHERE status = %s"
                " AND partition_key = ANY(%s)",
                (DocumentStatus.DEFERRED.value, list(partition_keys)),
            ).fetchall()
        return dict(rows)

    def count_deferred(self, run_id: str | None = None, *, source: str | None = None) -> int:
        """The number of deferred documents, in total, by one run or of one source."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT count(*) FROM tvdb.documents WHERE status = %(status)s"
                " AND (%(run)s::text IS NULL OR run_id = %(run)s)"
                " AND (%(source)s::text IS NULL OR source = %(source)s)",
                {"run": run_id, "source": source, "status": DocumentStatus.DEFERRED.value},
            ).fetchone()
        return int(row[0]) if row else 0

    def counts(self) -> dict[str, Any]:
        """The counts of the ``status`` command, in its JSON shape."""
        with self._database.transaction() as tx, tx.cursor(row_factory=dict_row) as c:
            c.execute(
                "SELECT count(*) AS total,"
                " count(*) FILTER (WHERE status = %(published)s AND NOT is_degraded) AS published,"
                " count(*) FILTER (WHERE status = %(published)s AND is_degraded) AS degraded,"
                " count(*) FILTER (WHERE status = %(failed)s) AS failed,"
                " count(*) FILTER (WHERE status = %(deferred)s) AS deferred,"
                " count(*) FILTER (WHERE quarantine IS NOT NULL) AS quarantined,"
                " count(*) FILTER (WHERE status = %(registered)s) AS registered"
                " FROM tvdb.documents WHERE gone_at IS NULL",
                {status.value: status.value for status in DocumentStatus},
            )
            documents = c.fetchone() or {}
            c.execute(
                "SELECT s.label, coalesce(bool_or(i.is_current), false) AS is_current, s.is_mock,"
                " count(DISTINCT u.document_id)"
                " AS documents, count(c.chunk_id) AS chunks, count(e.space_id) AS embeddings"
                " FROM tvdb.vector_spaces s"
                " LEFT JOIN tvdb.indexes i USING (space_id)"
                " LEFT JOIN tvdb.publications u USING (index_id)"
                " LEFT JOIN tvdb.chunks c USING (chunk_set_id)"
                " LEFT JOIN tvdb.embeddings e"
                "   ON e.space_id = s.space_id AND e.text_sha256 = c.text_sha256"
                " GROUP BY s.space_id ORDER BY 2 DESC, s.space_id"
            )
            spaces = c.fetchall()
            c.execute(
                "SELECT coalesce(max(chunks), 0)::bigint AS chunks FROM"
                " (SELECT sum(k.chunk_count) AS chunks FROM tvdb.indexes i"
                "  JOIN tvdb.publications u USING (index_id)"
                "  JOIN tvdb.chunk_sets k USING (chunk_set_id) WHERE i.is_current"
                "  OR NOT EXISTS (SELECT FROM tvdb.indexes WHERE is_current)"
                "  GROUP BY i.index_id) shown"
            )
            chunks = (c.fetchone() or {})["chunks"]
        return {
            "documents": documents,
            "chunks": chunks,
            "embeddings": sum(space["embeddings"] for space in spaces),
            "vector_spaces": spaces,
        }

    def history(self, document_id: int) -> dict[str, Any]:
        """The row, failures and runs of one document; times are ISO 8601 text."""
        with self._database.transaction() as tx, tx.cursor(row_factory=dict_row) as c:
            c.execute("SELECT * FROM tvdb.documents WHERE document_id = %s", (document_id,))
            row = c.fetchone() or {}
            for old, new in _OLD_COLUMN_NAMES.items():
                if new in row:
                    row[old] = row[new]
            c.execute(
                "SELECT happened_at, run_id, outcome, stage, code, message"
                " FROM tvdb.document_events WHERE document_id = %s ORDER BY event_id",
                (document_id,),
            )
            events = c.fetchall()
            c.execute(
                "SELECT p.title, p.media_type, p.encoding, cardinality(p.page_starts) AS pages,"
                " p.notes, p.service, p.mode, p.model, p.version, k.chunk_count, k.token_count"
                " FROM tvdb.parsed_documents p LEFT JOIN tvdb.chunk_sets k USING (parsed_id)"
                " WHERE p.document_id = %s ORDER BY p.parsed_id DESC, k.chunk_set_id DESC LIMIT 1",
                (document_id,),
            )
            parse = c.fetchone()
            c.execute(
                "SELECT status, count(*) FROM tvdb.documents WHERE container_id = %s"
                " GROUP BY 1 ORDER BY 1",
                (document_id,),
            )
            members = {record["status"]: record["count"] for record in c}
        for record in (row, *events):
            for name, value in record.items():
                if isinstance(value, datetime):
                    record[name] = value.isoformat()
                elif isinstance(value, bytes):
                    record[name] = value.hex()
        return {
            "document": row.get("path"),
            "row": row,
            "made": parse,
            "members": members,
            "failures": [event for event in events if event["outcome"] == Outcome.FAILED],
            "runs": list(dict.fromkeys(event["run_id"] for event in events)),
            "events": events,
        }


def _free_keys(tx: Connection, source: str, paths: Sequence[str]) -> dict[str, str]:
    """A partition key for each path of a source, which no other document has."""
    parts = [part for part in source.split("/") if part]
    # The last prefix is unique: no two sources have the same one.
    prefixes = ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]
    prefixes = ["", *prefixes, sha256(source.encode()).hexdigest()]
    keys: dict[str, str] = {}
    assigned: set[str] = set()
    for prefix in prefixes:
        names = {path: public_name(path) for path in paths if path not in keys}
        if not names:
            break
        wanted = {
            path: partition_key(f"{prefix}/{name}" if prefix else name)
            for path, name in names.items()
        }
        rows = tx.execute(
            "SELECT partition_key, source, path FROM tvdb.documents"
            " WHERE partition_key = ANY(%s) AND container_id IS NULL",
            (list(wanted.values()),),
        ).fetchall()
        owners = {key: (owner, path) for key, owner, path in rows}
        for path, key in wanted.items():
            if key not in assigned and owners.get(key, (source, path)) == (source, path):
                keys[path] = key
                assigned.add(key)
    return keys


def _known_document(status: str, quarantine: str | None, **columns: Any) -> KnownDocument:
    return KnownDocument(
        status=DocumentStatus(status),
        quarantine=Quarantine(quarantine) if quarantine is not None else None,
        **columns,
    )


def _file_version(file: SourceFile) -> FileVersion:
    return FileVersion(file.size, file.etag)
