-- An index: all documents with the chunks of one chunker and the vectors of one space. Several can
-- exist, and search reads one of them. A row, not a setting, says which one, so that all readers
-- agree.
CREATE TABLE tvdb.indexes (
    index_id             smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space_id             smallint NOT NULL REFERENCES tvdb.vector_spaces,
    chunker              text     NOT NULL,
    chunk_tokens         integer,
    chunk_overlap_tokens integer,
    is_current           boolean  NOT NULL DEFAULT false,
    run_id               text     NOT NULL,
    created_at           timestamptz NOT NULL DEFAULT now(),
    switched_at          timestamptz,
    UNIQUE (space_id, chunker),
    CHECK (switched_at IS NOT NULL OR NOT is_current)
);

COMMENT ON COLUMN tvdb.indexes.chunker IS 'fingerprint, as of chunk_sets';
COMMENT ON COLUMN tvdb.indexes.chunk_tokens IS 'null where a fingerprint of old does not tell';
COMMENT ON COLUMN tvdb.indexes.switched_at IS 'when search last began to read it, null for never';

CREATE UNIQUE INDEX indexes_one_current ON tvdb.indexes (is_current) WHERE is_current;

-- Until now a space was one index, whose documents got a new chunker one by one. So a space
-- becomes one index, with the chunker of most of its documents.
INSERT INTO tvdb.indexes (space_id, chunker, chunk_tokens, chunk_overlap_tokens, is_current,
    run_id, created_at, switched_at)
SELECT s.space_id, u.fingerprint, substring(u.fingerprint FROM ':([0-9]+)/[0-9]+:')::integer,
       substring(u.fingerprint FROM ':[0-9]+/([0-9]+):')::integer, s.is_current, s.run_id,
       s.created_at, CASE WHEN s.is_current THEN s.created_at END
FROM tvdb.vector_spaces s JOIN (
    SELECT DISTINCT ON (p.space_id) p.space_id, k.fingerprint
    FROM tvdb.publications p JOIN tvdb.chunk_sets k USING (chunk_set_id)
    GROUP BY p.space_id, k.fingerprint
    ORDER BY p.space_id, count(*) DESC, max(k.chunk_set_id) DESC
) u USING (space_id);

-- Its other documents are still searched, and the next ingest processes them again.
UPDATE tvdb.documents d SET recipe = ''
FROM tvdb.publications p JOIN tvdb.chunk_sets k USING (chunk_set_id)
JOIN tvdb.indexes i ON i.space_id = p.space_id
WHERE p.document_id = d.document_id AND k.fingerprint <> i.chunker;

DROP VIEW tvdb.search_index;

ALTER TABLE tvdb.publications ADD COLUMN index_id smallint REFERENCES tvdb.indexes;

UPDATE tvdb.publications p SET index_id = i.index_id
FROM tvdb.indexes i WHERE i.space_id = p.space_id;

-- This drops its primary key and its foreign key too.
ALTER TABLE tvdb.publications DROP COLUMN space_id;

ALTER TABLE tvdb.publications ALTER COLUMN index_id SET NOT NULL,
    ADD PRIMARY KEY (document_id, index_id);

CREATE INDEX publications_index ON tvdb.publications (index_id);

-- This drops its index and its checks too.
ALTER TABLE tvdb.vector_spaces DROP COLUMN is_current;

-- The rows that search reads: published, of the current index, not degraded and not of a mock.
CREATE VIEW tvdb.search_index AS
SELECT c.chunk_id, d.document_id, d.path AS document, p.title, c.ordinal,
       c.page_first, c.page_last, c.heading_path, c.start_offset, c.end_offset, c.token_count,
       c.text, c.text_sha256, s.label AS vector_space, s.space_id, e.embedding,
       e.service, e.mode, e.model, e.version, e.is_degraded, u.run_id, i.index_id
FROM tvdb.indexes i
JOIN tvdb.vector_spaces s ON s.space_id = i.space_id
JOIN tvdb.publications u ON u.index_id = i.index_id
JOIN tvdb.documents d ON d.document_id = u.document_id
JOIN tvdb.chunk_sets k ON k.chunk_set_id = u.chunk_set_id
JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id
JOIN tvdb.chunks c ON c.chunk_set_id = k.chunk_set_id
JOIN tvdb.embeddings e ON e.space_id = s.space_id AND e.text_sha256 = c.text_sha256
WHERE i.is_current
  AND NOT (e.is_degraded OR c.is_degraded OR p.is_degraded)
  AND 'mock' NOT IN (e.mode, c.mode, p.mode)
