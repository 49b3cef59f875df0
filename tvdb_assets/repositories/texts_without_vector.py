"""Texts that a paid embedder answered without a usable vector, so that they are not paid for again.

What belongs here: statements on `tvdb.texts_without_vector`, and paying once more because a person
asks for it. What does not: which vectors are usable (`core.vector_validation`), the requests
(`embedding`), or documents that a paid parser gave no usable text of (`parse_jobs`).

A text is recorded in the transaction that posts the cost of the answer. It is not sent again until
the request changes (another model, server or form of the request) or a person asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import EmbeddingError
from tvdb_assets.repositories.database import Connection

_CODES = {
    entry.code: entry
    for entry in (codes.VECTOR_ZERO, codes.VECTOR_NOT_FINITE, codes.VECTOR_UNUSABLE)
}
"""Of errors that an answer has shown. Other errors of a text cost nothing."""
_OF_SETS = """
SELECT w.text_sha256, w.error_code, w.error_message, w.answered_at FROM tvdb.texts_without_vector w
WHERE w.space_id = %s AND w.request_fingerprint = %s AND w.text_sha256 IN
  (SELECT c.text_sha256 FROM tvdb.chunks c WHERE c.chunk_set_id = ANY(%s))
"""
_RECORD = """
INSERT INTO tvdb.texts_without_vector AS w
  (space_id, text_sha256, request_fingerprint, error_code, error_message, run_id)
SELECT %s, h, %s, code, message, %s
FROM unnest(%s::bytea[], %s::text[], %s::text[]) AS n(h, code, message) ORDER BY h
ON CONFLICT (space_id, text_sha256) DO UPDATE SET
  request_fingerprint = excluded.request_fingerprint, error_code = excluded.error_code,
  error_message = excluded.error_message, run_id = excluded.run_id,
  answered_at = excluded.answered_at
"""


def record(
    tx: Connection,
    space_id: int,
    request_fingerprint: str,
    run_id: str,
    errors: Mapping[bytes, EmbeddingError],
) -> None:
    """Record the texts that an answer has no usable vector of.

    Args:
        tx: the transaction that posts the cost of the answer.
        space_id: id of the vector space.
        request_fingerprint: see `PaidEmbedder.request_fingerprint`.
        run_id: id of the run.
        errors: by sha256 of the text; those that no answer has shown are left out.
    """
    found = {sha256: e for sha256, e in errors.items() if e.code in _CODES}
    if not found:
        return
    tx.execute(
        _RECORD,
        (
            *(space_id, request_fingerprint, run_id, list(found)),
            [error.code for error in found.values()],
            [error.message for error in found.values()],
        ),
    )


def find(
    tx: Connection, space_id: int, request_fingerprint: str, chunk_set_ids: Sequence[int]
) -> dict[bytes, EmbeddingError]:
    """The texts of these chunk sets that the same request was answered for without a vector.

    Returns:
        By sha256 of the text, the error of its document.
    """
    rows = tx.execute(_OF_SETS, (space_id, request_fingerprint, list(chunk_set_ids))).fetchall()
    return {sha256: _error(code, message, when) for sha256, code, message, when in rows}


def known(
    tx: Connection, label: str, request_fingerprint: str, hashes: Sequence[bytes]
) -> set[bytes]:
    """Those texts that are not paid for again, in the vector space of this label."""
    rows = tx.execute(
        "SELECT w.text_sha256 FROM tvdb.texts_without_vector w"
        " JOIN tvdb.vector_spaces s USING (space_id) WHERE s.label = %s"
        " AND w.request_fingerprint = %s AND w.text_sha256 = ANY(%s)",
        (label, request_fingerprint, list(hashes)),
    ).fetchall()
    return {row[0] for row in rows}


def remove(tx: Connection, space_id: int, hashes: Sequence[bytes]) -> None:
    """Remove texts that have a vector now."""
    tx.execute(
        "DELETE FROM tvdb.texts_without_vector WHERE space_id = %s AND text_sha256 = ANY(%s)",
        (space_id, list(hashes)),
    )


def remove_of_documents(tx: Connection, document_ids: Sequence[int]) -> int:
    """Have documents, and what is in them, paid for once more, and their texts.

    Returns:
        The number of documents and texts that were paid for without a usable result.
    """
    documents = tx.execute(
        "UPDATE tvdb.parse_jobs SET state = 'failed', error_code = NULL"
        " WHERE error_code IS NOT NULL AND content_sha256 IN (SELECT d.sha256"
        " FROM tvdb.documents d WHERE d.partition_key IN (SELECT partition_key"
        "   FROM tvdb.documents WHERE document_id = ANY(%s)))",
        (list(document_ids),),
    ).rowcount
    return (
        documents
        + tx.execute(
            "DELETE FROM tvdb.texts_without_vector WHERE text_sha256 IN (SELECT c.text_sha256"
            " FROM tvdb.chunks c JOIN tvdb.documents d USING (document_id)"
            " WHERE d.partition_key IN (SELECT partition_key FROM tvdb.documents"
            "   WHERE document_id = ANY(%s)))",
            (list(document_ids),),
        ).rowcount
    )


def _error(code: str, message: str, when: datetime) -> EmbeddingError:
    return EmbeddingError.restored(
        code,
        f"{message} That was on {when:%Y-%m-%d}, and the same text was not paid for again.",
        remedy=_CODES[code].remedy,
    )
