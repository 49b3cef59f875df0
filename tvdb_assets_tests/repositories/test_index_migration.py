"""The migration from one index per vector space: search shows the same as before."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tvdb_assets.repositories.database import prepare
from tvdb_assets.repositories.migrations import upgrade

BEFORE = "0005"
OLD, NEW = "4:512/64:cl100k", "4:128/0:cl100k"

_ROWS = f"""
INSERT INTO tvdb.vector_spaces
    (label, provider, model, dimensions, version, is_mock, is_stand_in, is_current, run_id)
VALUES ('p/m@2#1', 'p', 'm', 2, '1', false, false, true, 'run-1'),
       ('p/n@2#1', 'p', 'n', 2, '1', false, false, false, 'run-2'),
       ('mock/x@2#1', 'mock', 'x', 2, '1', true, false, false, 'run-3'),
       ('p/unused@2#1', 'p', 'unused', 2, '1', false, false, false, 'run-4');
INSERT INTO tvdb.documents
    (partition_key, source, path, size, etag, sha256, status, recipe, run_id)
SELECT name, '/s', name, 1, 'e', 'x', 'published', 'parser chunker space', 'run-1'
FROM unnest('{{a.md,b.md,c.md}}'::text[]) AS n(name);
INSERT INTO tvdb.parsed_documents (document_id, content_sha256, fingerprint, suffix, text,
    media_type, is_markdown, page_starts, headings, notes, facts, service, mode, model, version,
    is_degraded, run_id)
SELECT document_id, sha256, 'parser', '.md', path, 'text/markdown', true, '{{}}', '[]', '{{}}',
    '{{}}', 's', 'local', 'm', '1', false, 'run-1' FROM tvdb.documents;
-- Chunks of a and b are of the old chunker, those of c of the new one: a partial change.
INSERT INTO tvdb.chunk_sets
    (parsed_id, document_id, fingerprint, chunk_count, token_count, run_id)
SELECT parsed_id, document_id, CASE text WHEN 'c.md' THEN '{NEW}' ELSE '{OLD}' END, 1, 1, 'run-1'
FROM tvdb.parsed_documents;
INSERT INTO tvdb.chunks (chunk_set_id, document_id, ordinal, start_offset, end_offset,
    heading_path, token_count, text_sha256, text, service, mode, model, version, is_degraded,
    run_id)
SELECT chunk_set_id, k.document_id, 0, 0, 4, '{{}}', 1, text::bytea, text, 's', 'local', 'm', '1',
    false, 'run-1' FROM tvdb.chunk_sets k JOIN tvdb.parsed_documents USING (parsed_id);
INSERT INTO tvdb.embeddings (space_id, text_sha256, embedding, token_count, service, mode, model,
    version, is_degraded, run_id)
SELECT space_id, text_sha256, '[1,0]', 1, 's', 'local', 'm', '1', false, 'run-1'
FROM tvdb.chunks, tvdb.vector_spaces s WHERE s.provider = 'p';
INSERT INTO tvdb.publications (document_id, space_id, chunk_set_id, run_id)
SELECT document_id, space_id, chunk_set_id, 'run-1' FROM tvdb.chunk_sets, tvdb.vector_spaces s
WHERE s.model IN ('m', 'x') OR (s.model = 'n' AND fingerprint = '{NEW}');
"""


def _query(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def old_url(empty_url: str) -> str:
    """A database of the revision before indexes, with documents."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    upgrade(empty_url, BEFORE)
    with psycopg.connect(empty_url) as connection:
        connection.execute(_ROWS)
    return empty_url


def test_published_documents_stay_and_each_space_becomes_one_index(old_url: str) -> None:
    shown = "SELECT document, text, vector_space FROM tvdb.search_index ORDER BY 1"
    before = _query(old_url, shown)
    publications = "SELECT document_id, chunk_set_id FROM tvdb.publications ORDER BY 1, 2"
    published = _query(old_url, publications)

    prepare(old_url)

    assert before == [(name, name, "p/m@2#1") for name in ("a.md", "b.md", "c.md")]
    assert _query(old_url, shown) == before
    assert _query(old_url, publications) == published
    assert _query(
        old_url,
        "SELECT s.label, i.chunker, i.chunk_tokens, i.chunk_overlap_tokens, i.is_current,"
        " i.switched_at IS NOT NULL, i.run_id, (SELECT count(*) FROM tvdb.publications u"
        "   WHERE u.index_id = i.index_id)"
        " FROM tvdb.indexes i JOIN tvdb.vector_spaces s USING (space_id) ORDER BY i.space_id",
    ) == [
        ("p/m@2#1", OLD, 512, 64, True, True, "run-1", 3),
        ("p/n@2#1", NEW, 128, 0, False, False, "run-2", 1),
        ("mock/x@2#1", OLD, 512, 64, False, False, "run-3", 3),
    ]


def test_documents_of_another_chunker_are_stale(old_url: str) -> None:
    prepare(old_url)

    assert _query(old_url, "SELECT path, pipeline_fingerprint FROM tvdb.documents ORDER BY 1") == [
        ("a.md", "parser chunker space"),
        ("b.md", "parser chunker space"),
        ("c.md", ""),
    ]


def test_only_one_index_can_be_current(old_url: str) -> None:
    prepare(old_url)

    with psycopg.connect(old_url) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("UPDATE tvdb.indexes SET is_current = true, switched_at = now()")
