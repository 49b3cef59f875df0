-- The embedded and searched text of a chunk is its repeated header and its text. Only the text is
-- between its offsets.
ALTER TABLE tvdb.chunks ADD COLUMN lead text NOT NULL DEFAULT '';

COMMENT ON COLUMN tvdb.chunks.lead IS 'header row of a table that an earlier chunk began';

COMMENT ON COLUMN tvdb.chunks.text_sha256 IS 'of lead and text';

COMMENT ON COLUMN tvdb.chunks.token_count IS 'of lead and text';

DROP INDEX tvdb.chunks_words;

CREATE INDEX chunks_words ON tvdb.chunks USING gin (to_tsvector('english', lead || text));

CREATE OR REPLACE VIEW tvdb.search_index AS
SELECT c.chunk_id, d.document_id, d.path AS document, p.title, c.ordinal,
       c.page_first, c.page_last, c.heading_path, c.start_offset, c.end_offset, c.token_count,
       c.text, c.text_sha256, s.label AS vector_space, s.space_id, e.embedding,
       e.service, e.mode, e.model, e.version, e.is_degraded, u.run_id, i.index_id, c.lead
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
